#!/bin/sh
# Reads an object of profile enc1 without Serin: enc1.sh OBJECT MANIFEST KEY >plain
#
# OBJECT    the stored file
# MANIFEST  the file beside it, OBJECT.manifest.json
# KEY       the key file whose first line is the passphrase, or the data key that `openssl cms -decrypt` gave (64 hexadecimal digits)
#
# Needs a shell, openssl 3, and zstd or gzip. Nothing is decrypted before digest and MAC of the whole object are right.
set -eu
[ $# -eq 3 ] || { echo "usage: enc1.sh OBJECT MANIFEST KEY >plain" >&2; exit 2; }
object=$1 manifest=$2 key=$3

# One value of the manifest, which is JSON in one line; these names occur once.
fact() { grep -o "\"$1\":\"\{0,1\}[A-Za-z0-9]*" "$manifest" | head -n 1 | sed 's/.*[:"]//'; }
hex() { od -An -tx1 -v | tr -d ' \n'; }
derive() { openssl kdf -binary -keylen 32 -kdfopt digest:SHA256 "$@" | hex; }

iterations=$(fact iterations) salt=$(fact salt) mac=$(sed 's/.*"envelope":{\([^}]*\)}.*/\1/' "$manifest" | grep -o '"mac":"[0-9a-f]*' | sed 's/.*"//')
[ "$(sha256sum <"$object" | cut -d' ' -f1)" = "$(fact storedSHA256)" ] || { echo "the object is not what was written" >&2; exit 1; }

# The root of the MAC's key is the data key itself, or the passphrase stretched as slowly as for the cipher, with a salt of its own.
# To the byte, as openssl takes it; of digits the CR that openssl cms may have written is none.
line=$(head -n 1 "$key")
if grep -q '"wrappedKey":"' "$manifest"; then
    root=$(printf %s "$line" | tr -d '\r')
else
    root=$(derive -kdfopt hexpass:"$(printf %s "$line" | hex)" -kdfopt iter:"$iterations" \
        -kdfopt hexsalt:"$(printf serin-mac | hex)$salt" PBKDF2)
fi
mackey=$(derive -kdfopt hexkey:"$root" -kdfopt hexsalt:"$salt" -kdfopt info:serin-mac HKDF)
found=$(openssl dgst -sha256 -mac HMAC -macopt hexkey:"$mackey" -r "$object" | cut -d' ' -f1)
[ -n "$mac" ] && [ "$found" = "$mac" ] || { echo "the object is not authentic: damaged, or another key" >&2; exit 1; }

case $(fact compression) in zstd) unpack="zstd -dc" ;; gzip) unpack="gzip -dc" ;; *) unpack=cat ;; esac
# A pipe hides the status of what stands before its end, so that is kept.
status=$(mktemp)
trap 'rm -f "$status"' EXIT
{ openssl enc -d -aes-256-cbc -pbkdf2 -iter "$iterations" -md sha256 -pass "file:$key" -in "$object" || echo bad >"$status"; } | $unpack
[ ! -s "$status" ] || { echo "openssl could not decrypt the object" >&2; exit 1; }
