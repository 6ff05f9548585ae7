"""Whether a caller prefers a page or JSON, by ``Accept`` (RFC 9110, section 12.5.1)."""


def prefers_html(accept: str) -> bool:
    """Whether ``text/html`` is asked for, and not less than JSON; ``*/*`` alone asks for JSON."""
    return prefers(accept, "text/html")


def prefers(accept: str, media_type: str) -> bool:
    """Whether a media type is asked for by name, and not less than JSON."""
    asked = _quality(accept, media_type)
    return asked > 0 and asked >= _quality(accept, "application/json")


def _quality(accept: str, media_type: str) -> float:
    for offer in accept.split(","):
        name, *parameters = (part.strip().lower() for part in offer.split(";"))
        if name == media_type:
            weights = [part[2:] for part in parameters if part.startswith("q=")]
            try:
                return float(weights[0]) if weights else 1.0
            except ValueError:
                return 0.0
    return 0.0
