"""The fixed API key, as Odoo stores it."""

from sandbox.api_key import KEY, _hashed


def test_the_hash_has_passlibs_notation() -> None:
    """Scheme, rounds, a salt of 16 bytes and a digest of 64, in passlib's base 64."""
    empty, scheme, rounds, salt, digest = _hashed().split("$")
    assert (empty, scheme, rounds, len(salt), len(digest)) == ("", "pbkdf2-sha512", "6000", 22, 86)
    assert not set(salt + digest) & set("+=")
    assert len(KEY) == 40
