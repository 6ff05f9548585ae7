"""What a caller prefers: a page or JSON, which languages, gzip (RFC 9110, section 12.5)."""


def prefers_html(accept: str) -> bool:
    """Whether ``text/html`` is asked for, and not less than JSON; ``*/*`` alone asks for JSON."""
    return prefers(accept, "text/html")


def prefers(accept: str, media_type: str) -> bool:
    """Whether a media type is asked for by name, and not less than JSON."""
    asked = _quality(accept, media_type)
    return asked > 0 and asked >= _quality(accept, "application/json")


def takes_gzip(accept_encoding: str) -> bool:
    """Whether the caller reads gzip."""
    return _quality(accept_encoding, "gzip") > 0


def languages(accept_language: str) -> list[str]:
    """The language tags of ``Accept-Language``, the most wanted first."""
    weighed = [
        (_weight(offer), offer.partition(";")[0].strip()) for offer in accept_language.split(",")
    ]
    wanted = sorted((offer for offer in weighed if offer[0] > 0), key=lambda offer: -offer[0])
    return [tag for _, tag in wanted]


def _quality(accept: str, wanted: str) -> float:
    for offer in accept.split(","):
        if offer.partition(";")[0].strip().lower() == wanted:
            return _weight(offer)
    return 0.0


def _weight(offer: str) -> float:
    parameters = (part.strip().lower() for part in offer.split(";")[1:])
    weights = [part[2:] for part in parameters if part.startswith("q=")]
    try:
        return float(weights[0]) if weights else 1.0
    except ValueError:
        return 0.0
