#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""corpus.py pack FOLDER FILE | unpack FILE FOLDER: a corpus is kept as one text file with an input in each line, in
hexadecimal; a fuzzer wants a folder with a file for each. Prints how many there are.
"""
import hashlib
import os
import sys


def pack(folder, path):
    inputs = []
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            inputs.append(file.read().hex())
    with open(path, "w", encoding="ascii") as file:
        file.writelines(line + "\n" for line in sorted(set(inputs), key=lambda line: (len(line), line)))
    return len(set(inputs))


def unpack(path, folder):
    os.makedirs(folder, exist_ok=True)
    with open(path, encoding="ascii") as file:
        inputs = [bytes.fromhex(line.strip()) for line in file if line.strip()]
    for data in inputs:
        with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as file:
            file.write(data)
    return len(inputs)


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    count = (pack if sys.argv[1] == "pack" else unpack)(*sys.argv[2:])
    print(f"{sys.argv[2]}: {count} inputs")


main()
