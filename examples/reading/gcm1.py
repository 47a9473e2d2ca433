#!/usr/bin/env python3
"""Reads an object of profile gcm1 without Serin: gcm1.py OBJECT KEY >plain

OBJECT  the stored file
KEY     the key file whose first line is the passphrase, or the data key that `openssl cms -decrypt` gave (64 hexadecimal digits)

Needs Python 3 and OpenSSL's libcrypto, nothing else. What it writes is compressed as the manifest says: zstd -dc, gzip -dc, or not at
all. Believe the output only when this ends with status 0: every chunk is authentic before it is written, but only the last one proves
that none is missing.

The form: magic `serngcm1`, chunk size and PBKDF2 rounds (32 bits each, big-endian), 32 bytes of salt; then chunks of AES-256-GCM cipher
text, each with its 16-byte tag behind. Root: the data key, or PBKDF2-HMAC-SHA256 of the passphrase with the salt `serin-mac` + salt.
HKDF-SHA256 of the root with the salt and the label `serin-gcm1` gives 32 bytes of key and 7 of nonce prefix. A nonce is prefix, chunk
number (32 bits, big-endian), and 1 in the last chunk or else 0. The 48 bytes of the header are associated data of every chunk.
"""
import ctypes
import ctypes.util
import hashlib
import hmac
import sys

TAG = 16


def derive(root, salt):
    """HKDF (RFC 5869): 39 bytes."""
    key = hmac.new(salt, root, hashlib.sha256).digest()
    first = hmac.new(key, b"serin-gcm1\x01", hashlib.sha256).digest()
    return first, hmac.new(key, first + b"serin-gcm1\x02", hashlib.sha256).digest()[:7]


def root_of(path, iterations, salt):
    line = open(path, "rb").read().split(b"\n", 1)[0]
    if iterations == 0:
        return bytes.fromhex(line.decode("ascii"))  # which leaves out a CR
    return hashlib.pbkdf2_hmac("sha256", line, b"serin-mac" + salt, iterations, 32)


class Opener:
    """AES-256-GCM by libcrypto's EVP functions."""

    def __init__(self, key, associated):
        self.lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
        for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.key, self.associated = key, associated

    def open(self, nonce, sealed):
        body, tag = sealed[:-TAG], sealed[-TAG:]
        context = ctypes.c_void_p(self.lib.EVP_CIPHER_CTX_new())
        cipher = ctypes.c_void_p(self.lib.EVP_aes_256_gcm())
        plain, count, rest = ctypes.create_string_buffer(len(body) + TAG), ctypes.c_int(0), ctypes.create_string_buffer(TAG)
        try:
            steps = (
                lambda: self.lib.EVP_DecryptInit_ex(context, cipher, None, self.key, nonce),
                lambda: self.lib.EVP_DecryptUpdate(context, None, ctypes.byref(count), self.associated, len(self.associated)),
                lambda: self.lib.EVP_DecryptUpdate(context, plain, ctypes.byref(count), body, len(body)),
                lambda: self.lib.EVP_CIPHER_CTX_ctrl(context, 0x11, TAG, ctypes.create_string_buffer(tag, TAG)),
                lambda: self.lib.EVP_DecryptFinal_ex(context, rest, ctypes.byref(count)),
            )
            return plain.raw[: len(body)] if all(step() == 1 for step in steps) else None
        finally:
            self.lib.EVP_CIPHER_CTX_free(context)


def main(path, key_path):
    with open(path, "rb") as file:
        header = file.read(48)
        if len(header) != 48 or header[:8] != b"serngcm1":
            sys.exit("this is no object of profile gcm1")
        size, iterations = int.from_bytes(header[8:12], "big"), int.from_bytes(header[12:16], "big")
        key, prefix = derive(root_of(key_path, iterations, header[16:]), header[16:])
        opener = Opener(key, header)
        number, chunk = 0, file.read(size + TAG)
        while True:
            following = file.read(size + TAG)
            is_last = not following
            nonce = prefix + number.to_bytes(4, "big") + (b"\x01" if is_last else b"\x00")
            plain = opener.open(nonce, chunk) if len(chunk) >= TAG else None
            if plain is None:
                sys.exit(f"chunk {number} is not authentic: damaged, cut short, out of order, or another key")
            sys.stdout.buffer.write(plain)
            if is_last:
                break
            number, chunk = number + 1, following
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
