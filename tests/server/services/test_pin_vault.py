"""What is stored of a PIN tells nothing without the server's secret."""

from server.services.pin_vault import PinVault

SECRET = "a secret of the server, of 32 bytes or more"
PIN = "482913"


def test_a_sealed_pin_is_read_again_also_after_a_restart():
    assert PinVault(SECRET).unseal("key", PinVault(SECRET).seal("key", PIN)) == PIN


def test_a_pin_cannot_be_read_under_another_secret_or_as_another_keys():
    sealed = PinVault(SECRET).seal("key", PIN)
    assert PinVault(SECRET + "!").unseal("key", sealed) is None
    assert PinVault(SECRET).unseal("other key", sealed) is None


def test_what_was_tampered_with_or_cut_off_is_not_read():
    vault = PinVault(SECRET)
    sealed = vault.seal("key", PIN)
    for changed in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:12]):
        assert vault.unseal("key", changed) is None


def test_no_two_seals_are_the_same():
    vault = PinVault(SECRET)
    assert len({vault.seal("key", PIN) for _ in range(100)}) == 100


def test_a_digest_depends_on_the_pin_the_lock_and_the_secret():
    digest = PinVault(SECRET).digest(7, PIN)
    assert PinVault(SECRET).digest(7, PIN) == digest
    others = {
        PinVault(SECRET).digest(7, "482914"),
        PinVault(SECRET).digest(8, PIN),
        PinVault(SECRET).digest(74, "82913"),
        PinVault(SECRET + "!").digest(7, PIN),
    }
    assert len(others - {digest}) == 4


def test_nothing_that_is_stored_shows_the_pin():
    vault = PinVault(SECRET)
    assert PIN not in vault.digest(7, PIN)
    assert PIN.encode() not in vault.seal("key", PIN)
