"""Make a jar in which Beam's servers listen on the address that they tell of, and not on all interfaces.

    python -m pipelines.runtime.flink.loopback FOLDER_OF_JARS JAR

Beam (2.70) makes its servers in one place, that of jobs and those of TaskManagers for their workers, by
``NettyServerBuilder.forPort(address.getPort())``. The class in the new jar, which has to come first on the class path,
does it by ``NettyServerBuilder.forAddress(address)``. Whoever reaches such a server may run code.
"""

import struct
import sys
import zipfile
from pathlib import Path

CLASS = "org/apache/beam/sdk/fn/server/ServerFactory$InetSocketAddressServerFactory.class"
#: Tags of entries of the constant pool; wide ones count twice.
_UTF8, _METHOD, _NAME_AND_TYPE, _WIDE = 1, 10, 12, {5, 6}
#: How many bytes the entries of the constant pool have behind their tag, by tag.
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}


def patch(code: bytes) -> bytes:
    """Return the class with the other call.

    Raises:
        ValueError: it is not the class that this knows.
    """
    offsets, end = _constants(code)
    by_text = {text: index for index, text in _texts(code, offsets).items()}
    name, port = by_text.get(b"forPort"), by_text.get(b"getPort")
    if name is None or port is None:
        raise ValueError("it does not call forPort")
    # The one reference that has this name gets another name and type, which are added at the end of the pool.
    kinds = [index for index, at in offsets.items() if code[at] == _NAME_AND_TYPE and _number(code, at + 1) == name]
    calls = [index for index, at in offsets.items() if code[at] == _METHOD and _number(code, at + 3) in kinds]
    getters = [
        index
        for index, at in offsets.items()
        if code[at] == _METHOD and _number(code, offsets[_number(code, at + 3)] + 1) == port
    ]
    before = [b"\x2b\xb6" + struct.pack(">H", getter) + b"\xb8" + struct.pack(">H", calls[0]) for getter in getters]
    found = [text for text in before if code.count(text) == 1]
    if len(kinds) != 1 or len(calls) != 1 or len(found) != 1:
        raise ValueError("it calls forPort in another way")
    at = offsets[kinds[0]]
    old = _texts(code, offsets)[_number(code, at + 3)]
    count = _number(code, 8)
    added = b"".join(
        bytes([_UTF8]) + struct.pack(">H", len(text)) + text
        for text in (b"forAddress", old.replace(b"(I)", b"(Ljava/net/SocketAddress;)"))
    )
    pool = code[10:at] + struct.pack(">BHH", _NAME_AND_TYPE, count, count + 1) + code[at + 5 : end] + added
    rest = code[end:].replace(found[0], b"\x2b\x00\x00\x00" + found[0][4:])  # no-ops in place of getPort
    return code[:8] + struct.pack(">H", count + 2) + pool + rest


def _constants(code: bytes) -> tuple[dict[int, int], int]:
    offsets, at, index = {}, 10, 1
    while index < _number(code, 8):
        offsets[index] = at
        tag = code[at]
        at += 3 + _number(code, at + 1) if tag == _UTF8 else 1 + _SIZES[tag]
        index += 2 if tag in _WIDE else 1
    return offsets, at


def _texts(code: bytes, offsets: dict[int, int]) -> dict[int, bytes]:
    return {index: code[at + 3 : at + 3 + _number(code, at + 1)] for index, at in offsets.items() if code[at] == _UTF8}


def _number(code: bytes, at: int) -> int:
    return int.from_bytes(code[at : at + 2], "big")


def main(folder: str, target: str) -> str:
    """Write the jar; return why that cannot be, or nothing."""
    for jar in sorted(Path(folder).glob("beam-sdks-java-core-*.jar")):
        with zipfile.ZipFile(jar) as found, zipfile.ZipFile(target, "w") as made:
            try:
                made.writestr(CLASS, patch(found.read(CLASS)))
            except (KeyError, ValueError, IndexError) as error:
                return f"{jar.name}: {error}"
        return ""
    return f"no beam-sdks-java-core in {folder}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
