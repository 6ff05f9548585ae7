"""Which language a guest is shown, and how it is written."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from handlers.accept import languages
from handlers.languages import LANGUAGES, language, language_for
from handlers.views.moments import moment_of
from tests.house import BROWSER, House

NOW = datetime(2026, 11, 22, 21, 14, tzinfo=UTC)
HEADINGS = {
    "en": "Key not found",
    "de": "Schlüssel nicht gefunden",
    "el": "Το κλειδί δεν βρέθηκε",
    "es": "Llave no encontrada",
    "fr": "Clé introuvable",
    "it": "Chiave non trovata",
    "ar": "المفتاح غير موجود",
}


@pytest.mark.parametrize(
    ("asked", "accepted", "shown"),
    [
        ("", "it", "it"),
        ("", "it-CH,de;q=0.9", "it"),
        ("", "da, de;q=0.5, fr;q=0.8", "fr"),
        ("", "EL", "el"),
        ("", "de;q=0, *", "en"),
        ("", "fr;q=nonsense, es;q=0.1", "es"),
        ("", "", "en"),
        ("", "da", "en"),
        ("ar", "it", "ar"),
        ("de-AT", "it", "de"),
        ("tlh", "it", "it"),
        ("../de", "it", "it"),
    ],
)
def test_the_address_counts_first_and_then_the_browser(
    asked: str, accepted: str, shown: str
) -> None:
    assert language_for(asked, languages(accepted)).code == shown


def test_a_language_that_was_asked_for_is_kept_on_the_way() -> None:
    asked_for, accepted = language_for("it", []), language_for("", ["it"])
    assert asked_for.link("/session") == "/session?lang=it"
    assert asked_for.link("/temp-keys/a?door=1") == "/temp-keys/a?door=1&lang=it"
    assert accepted.link("/session") == "/session"


def test_a_name_of_the_other_direction_is_kept_apart() -> None:
    assert language("en").say("Open {door}", door="باب 4") == "Open \u2068باب 4\u2069"
    assert language("en").say("Open {door}", door="Flat 4") == "Open Flat 4"
    assert "\u2068Flat 4\u2069" in language("ar").say("Open {door}", door="Flat 4")
    assert "\u2068+39 06\u2069" in language("ar").say("Call {phone}", phone="+39 06")


@pytest.mark.parametrize(
    ("code", "text", "relative"),
    [
        ("en", "Monday 23 November, 01:14 CET", "in 3 hours"),
        ("de", "Montag, 23. November, 01:14 CET", "in 3 Stunden"),
        ("el", "Δευτέρα 23 Νοεμβρίου, 1:14 π.μ. CET", "σε 3 ώρες"),
        ("es", "lunes 23 de noviembre, 1:14 CET", "dentro de 3 horas"),
        ("fr", "lundi 23 novembre, 01:14 CET", "dans 3 heures"),
        ("it", "lunedì 23 novembre, 01:14 CET", "tra 3 ore"),
        ("ar", "الاثنين، 23 نوفمبر", "خلال 3 ساعات"),
    ],
)
def test_days_and_times_are_written_as_the_language_does(
    code: str, text: str, relative: str
) -> None:
    moment = moment_of(NOW + timedelta(hours=3), ZoneInfo("Europe/Rome"), NOW, language(code))
    assert text in moment.text.replace("\u202f", " ").replace("\xa0", " ")
    assert moment.relative == relative


@pytest.mark.parametrize(
    ("n", "said"), [(1, "مرة واحدة"), (2, "مرتين"), (3, "3 مرات"), (11, "11 مرة")]
)
def test_numbers_take_the_words_of_their_language(n: int, said: str) -> None:
    one, many = "You can use it {n} more time.", "You can use it {n} more times."
    assert said in language("ar").count(one, many, n)


@pytest.mark.parametrize("code", ["en", "ar"])
def test_a_name_cannot_turn_the_words_around_it(code: str) -> None:
    turns = "Gate\u202e \u2069\u2066eht"
    said = language(code).say("Open {door}", door=turns)
    assert {"\u202e", "\u2069\u2066"}.isdisjoint({said, *said})
    assert "Gate eht" in said


@pytest.mark.parametrize("code", LANGUAGES)
async def test_an_error_page_is_in_the_guests_language(house: House, code: str) -> None:
    answer = await house.fetch(
        "/temp-keys/nope", Accept=BROWSER, Accept_Language=f"{code},en;q=0.1"
    )
    assert answer.text("h1") == HEADINGS[code]
    html = answer.html.html
    assert html is not None
    assert (html["lang"], html["dir"]) == (code, "rtl" if code == "ar" else "ltr")
    varies = answer.response.headers["Vary"].replace(" ", "").split(",")
    assert {"Accept", "Accept-Language"} <= set(varies)


async def test_programs_are_answered_in_english(house: House) -> None:
    answer = await house.fetch("/temp-keys/nope?lang=it", Accept_Language="it")
    assert answer.json()["message"] == "The requested resource was not found"


async def test_a_guests_language_stays_from_the_key_to_the_open_door(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    page = await house.visit(f"/temp-keys/{key.uuid}?lang=it")
    assert page.text("h1") == "La sua chiave: Front door"
    form = page.html.select_one("form")
    assert form is not None
    async with lock.connected():
        tapped = await house.fetch(
            str(form["action"]),
            "POST",
            "attempt=one",
            Accept=BROWSER,
            Content_Type="application/x-www-form-urlencoded",
        )
        assert tapped.location.endswith("&lang=it")
        opened = await house.visit(tapped.location)
    assert opened.text("h1") == "La porta è aperta"
    status = opened.html.select_one("#status")
    assert status is not None
    assert str(status["data-stream"]).endswith("&lang=it")
    assert opened.html.select(f'a[href="/temp-keys/{key.uuid}?lang=it"]')


async def test_the_stream_speaks_the_guests_language(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        stream = tapped.location.replace("/confirmation?", "/confirmation/stream?")
        said = await house.fetch(f"{stream}&lang=fr")
    assert "La porte est ouverte" in said.response.body.decode()
