#!/usr/bin/env python3
"""Checks the sealed-record form against docs/SEALED-RECORD.md with Python's `cryptography`.

    check_sealed_record.py              opens the vectors beside this file, and refuses changed ones
    check_sealed_record.py --seal FILE  also writes vectors of its own, with new random keys

Written from the document alone; shares nothing with the gateway's code. Prints `N passed, N failed`.
"""
import base64
import hmac
import json
import os
import struct
import sys
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PREFIX = "sealed:v1:"
PLATFORM_KEY = uuid.UUID("77617264-6761-8465-ad70-6c6174666f72")
NIL = uuid.UUID(int=0)


class Refused(Exception):
    pass


def hkdf(key, salt, info):
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def part(data):
    return struct.pack(">I", len(data)) + data


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url(raw) != text:
        raise Refused("base64url")
    return raw


def parse_kek_file(text):
    lines = text.rstrip("\n").split("\n")
    if lines[0] != "wardgate-kek-file v1":
        raise Refused("header")
    return {line.split(" ")[0]: base64.b64decode(line.split(" ")[1], validate=True) for line in lines[1:]}


def wrap_aad(header, key_id, tenant, kek_id):
    parts = (b"wardgate wrapped data key v1", key_id.bytes, tenant.bytes, kek_id.encode())
    return header + b"".join(map(part, parts))


def wrap(kek, kek_id, key_id, tenant, key, nonce):
    header = bytes([1, 1]) + nonce
    return header + AESGCM(kek).encrypt(nonce, key, wrap_aad(header, key_id, tenant, kek_id))


def unwrap(kek, kek_id, key_id, tenant, wrapped):
    if len(wrapped) != 62 or wrapped[:2] != bytes([1, 1]):
        raise Refused("wrapped header")
    try:
        aad = wrap_aad(wrapped[:14], key_id, tenant, kek_id)
        return AESGCM(kek).decrypt(wrapped[2:14], wrapped[14:], aad)
    except InvalidTag:
        raise Refused("wrapped tag") from None


def derive_sealing(key, tenant, key_id):
    owner = tenant.bytes + key_id.bytes
    salt = b"wardgate sealed v1"
    return hkdf(key, salt, b"encrypt" + owner), hkdf(key, salt, b"commit" + owner)


def place_aad(header, record):
    parts = (
        record["purpose"].encode(),
        record["table"].encode(),
        record["column"].encode(),
        uuid.UUID(record["tenant"]).bytes,
        struct.pack(">Q", record["revision"]),
    )
    return header + b"".join(map(part, parts))


def seal(key, record, nonce, plaintext):
    tenant, key_id = uuid.UUID(record["tenant"]), uuid.UUID(record["data_key"])
    encryption, commitment = derive_sealing(key, tenant, key_id)
    header = bytes([1, 1]) + uuid.UUID(record["record_id"]).bytes + key_id.bytes + nonce + commitment
    sealed = AESGCM(encryption).encrypt(nonce, plaintext, place_aad(header, record))
    return PREFIX + b64url(header + sealed)


def open_sealed(keys, record, text):
    if not text.startswith(PREFIX):
        raise Refused("prefix")
    raw = unb64url(text[len(PREFIX):])
    if len(raw) <= 78 + 16 or raw[:2] != bytes([1, 1]):
        raise Refused("length, version or algorithm")
    header, rest = raw[:78], raw[78:]
    if header[2:18] != uuid.UUID(record["record_id"]).bytes:
        raise Refused("record")
    owner, key = keys.get(uuid.UUID(bytes=header[18:34]), (None, None))
    if owner != uuid.UUID(record["tenant"]):
        raise Refused("key")
    encryption, commitment = derive_sealing(key, owner, uuid.UUID(bytes=header[18:34]))
    if not hmac.compare_digest(commitment, header[46:78]):
        raise Refused("commitment")
    try:
        return AESGCM(encryption).decrypt(header[34:46], rest, place_aad(header, record))
    except InvalidTag:
        raise Refused("tag") from None


def derive(platform, purpose, tenant):
    return hkdf(platform, b"wardgate derive v1", purpose.encode() + b"\0" + tenant.bytes)


def public_key(seed):
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return "ed25519:" + b64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, good):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {name}")

    def refuses(self, name, keys, record, text):
        try:
            open_sealed(keys, record, text)
        except Refused:
            self.check(name, True)
        else:
            self.check(name, False)


def check_vectors(vectors, tally):
    keks, keys = parse_kek_file(vectors["kek_file"]), {}
    for vector in vectors["data_keys"]:
        key_id, tenant, kek_id = uuid.UUID(vector["id"]), uuid.UUID(vector["tenant"]), vector["kek"]
        wrapped, kek = bytes.fromhex(vector["wrapped"]), keks[kek_id]
        key = unwrap(kek, kek_id, key_id, tenant, wrapped)
        tally.check("unwraps", key.hex() == vector["key"])
        again = wrap(kek, kek_id, key_id, tenant, key, bytes.fromhex(vector["nonce"]))
        tally.check("wraps to the same bytes", again == wrapped)
        keys[key_id] = (tenant, key)
    for record in vectors["records"]:
        text, plaintext = record["sealed"], record["plaintext"].encode()
        tally.check("opens", open_sealed(keys, record, text) == plaintext)
        _, key = keys[uuid.UUID(record["data_key"])]
        nonce = bytes.fromhex(record["nonce"])
        tally.check("seals to the same text", seal(key, record, nonce, plaintext) == text)
        raw = unb64url(text[len(PREFIX):])
        for at in range(len(raw)):
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:]
            tally.refuses(f"byte {at} flipped", keys, record, PREFIX + b64url(changed))
            tally.refuses(f"cut at {at}", keys, record, PREFIX + b64url(raw[:at]))
        for field, value in (
            ("tenant", str(NIL)), ("record_id", str(NIL)), ("purpose", ""), ("table", "x"),
            ("column", "x"), ("revision", record["revision"] ^ 1),
        ):
            tally.refuses(f"another {field}", keys, {**record, field: value}, text)
    _, platform = keys[PLATFORM_KEY]
    for vector in vectors["derived"]:
        key = derive(platform, vector["purpose"], uuid.UUID(vector["tenant"]))
        tally.check("derives", key.hex() == vector["key"])
    seed = derive(platform, "audit-checkpoint", NIL)
    tally.check("signing key", public_key(seed) == vectors["checkpoint_public_key"])


def seal_new(vectors):
    """Vectors of the same records under new random keys, nonces, ids and revisions."""
    kek_id, kek, platform = "python", os.urandom(32), os.urandom(32)
    made = {"format": vectors["format"], "data_keys": [], "records": [], "derived": []}
    made["kek_file"] = f"wardgate-kek-file v1\n{kek_id} {base64.b64encode(kek).decode()} current\n"

    def add_key(key_id, tenant, key):
        nonce = os.urandom(12)
        made["data_keys"].append({
            "id": str(key_id), "tenant": str(tenant), "kek": kek_id, "key": key.hex(),
            "nonce": nonce.hex(), "wrapped": wrap(kek, kek_id, key_id, tenant, key, nonce).hex(),
        })

    add_key(PLATFORM_KEY, NIL, platform)
    for record in vectors["records"]:
        tenant, key_id, key, nonce = uuid.uuid4(), uuid.uuid4(), os.urandom(32), os.urandom(12)
        add_key(key_id, tenant, key)
        new = {
            **record, "tenant": str(tenant), "data_key": str(key_id), "record_id": str(uuid.uuid4()),
            "revision": struct.unpack(">Q", os.urandom(8))[0], "nonce": nonce.hex(),
        }
        made["records"].append({**new, "sealed": seal(key, new, nonce, record["plaintext"].encode())})
    for purpose in ("page-cursor", "audit-identifier", "audit-checkpoint"):
        key = derive(platform, purpose, NIL).hex()
        made["derived"].append({"purpose": purpose, "tenant": str(NIL), "key": key})
    made["checkpoint_public_key"] = public_key(derive(platform, "audit-checkpoint", NIL))
    return made


def main():
    here, tally = Path(__file__).parent, Tally()
    vectors = json.loads((here / "sealed-record-v1.json").read_text())
    check_vectors(vectors, tally)
    check_vectors(json.loads((here / "sealed-record-v1-python.json").read_text()), tally)
    made = seal_new(vectors)
    check_vectors(made, tally)
    if sys.argv[1:2] == ["--seal"]:
        Path(sys.argv[2]).write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
