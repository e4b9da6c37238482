"""A filter that the kernel runs on each datagram before it reaches the socket's buffer (Linux only).

Each received datagram costs a system call, and takes room in a buffer that honest requests need. So Linux
drops the datagrams that a small program in classic BPF rejects (McCanne and Jacobson, 1993; socket(7),
SO_ATTACH_FILTER). The owner still checks every datagram that passes.

    length 128 and type ASK, or length 72 and type REQUEST, magic and version ours?   no: drop
    is the token's tag that of a recent token for this address?                       yes: keep
    an unvalidated address: is it in the fraction that is admitted now?               no: drop
"""

from __future__ import annotations

import ctypes
import socket
import struct

from node.chunk_udp import wire
from node.chunk_udp.flood.token_tag import SHIFT, TagKeys
from node.chunk_udp.sockets import LINUX

SO_ATTACH_FILTER = 26  # asm-generic/socket.h; not in the socket module
_UDP_HEADER = 8  # bytes; offsets of the program count from this header
_INSTRUCTION = struct.Struct("@HBBI")  # linux/filter.h: struct sock_filter
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog
# linux/bpf_common.h. The machine has a value, an index, and memory. Jumps compare the value.
_LENGTH, _BYTE, _HALF, _WORD, _RECALL = 0x80, 0x30, 0x28, 0x20, 0x60  # load the value
_STORE, _INDEX_RECALL, _INDEX_IS_VALUE = 0x02, 0x61, 0x07
_TIMES, _XOR, _XOR_INDEX, _SHIFT_RIGHT = 0x24, 0xA4, 0xAC, 0x74  # change the value
_EQUAL, _EQUALS_INDEX, _AT_LEAST, _RETURN = 0x15, 0x1D, 0x35, 0x06
_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF: offsets from here on count from the IP header
_SOURCE = {socket.AF_INET: 12, socket.AF_INET6: 20}  # offset of the source address's last 32 bits
_TO_DROP, _TO_KEEP = -1, -2  # as jumps
_KEEP, _DROP = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]  # code, steps ahead if true, if false, operand


def program(
    keys: TagKeys, fraction: float, draw: int, family: socket.AddressFamily = socket.AF_INET
) -> list[Instruction]:
    """Instructions that keep datagrams with a tag by ``keys``, and ``fraction`` (0 to 1) of the rest.

    ``draw``, 32 random bits, decides which addresses are in the fraction.
    """
    code = [*_is_question(), *_mix(keys, family)]
    for factor, mask in keys.epochs:
        code += [(_RECALL, 0, 0, 0), (_TIMES, 0, 0, factor), (_XOR, 0, 0, mask), (_INDEX_IS_VALUE, 0, 0, 0)]
        code += [(_WORD, 0, 0, _UDP_HEADER + wire.TOKEN_AT), (_EQUALS_INDEX, _TO_KEEP, 0, 0)]
    code += [(_RECALL, 0, 0, 0), (_TIMES, 0, 0, draw | 1)]
    code += [(_AT_LEAST, _TO_DROP, _TO_KEEP, min(2**32 - 1, int(fraction * 2**32)))]
    ends = {_TO_DROP: len(code), _TO_KEEP: len(code) + 1}

    def steps(at: int, jump: int) -> int:
        return jump if jump >= 0 else ends[jump] - at - 1

    resolved = [(op, steps(at, yes), steps(at, no), value) for at, (op, yes, no, value) in enumerate(code)]
    return [*resolved, (_RETURN, 0, 0, _DROP), (_RETURN, 0, 0, _KEEP)]


def _is_question() -> list[Instruction]:
    """Continue only with an ASK or a REQUEST, by length and the first three bytes."""
    return [
        (_HALF, 0, 0, _UDP_HEADER),
        (_EQUAL, 0, _TO_DROP, wire.MAGIC << 8 | wire.VERSION),
        (_LENGTH, 0, 0, 0),
        (_EQUAL, 2, 0, _UDP_HEADER + wire.ASK_SIZE),
        (_EQUAL, 3, _TO_DROP, _UDP_HEADER + wire.REQUEST_SIZE),
        (_RETURN, 0, 0, _DROP),
        (_BYTE, 0, 0, _UDP_HEADER + 2),
        (_EQUAL, 2, _TO_DROP, wire.Kind.ASK),
        (_BYTE, 0, 0, _UDP_HEADER + 2),
        (_EQUAL, 0, _TO_DROP, wire.Kind.REQUEST),
    ]


def _mix(keys: TagKeys, family: socket.AddressFamily) -> list[Instruction]:
    """Store the hash of source address and port, as ``TokenTags`` has it before the epoch is mixed in."""
    return [
        (_WORD, 0, 0, _NETWORK_HEADER + _SOURCE[family]),
        (_TIMES, 0, 0, keys.host),
        (_STORE, 0, 0, 0),
        (_HALF, 0, 0, 0),  # the source port
        (_TIMES, 0, 0, keys.port),
        (_INDEX_RECALL, 0, 0, 0),
        (_XOR_INDEX, 0, 0, 0),
        (_STORE, 0, 0, 0),
        (_SHIFT_RIGHT, 0, 0, SHIFT),
        (_INDEX_RECALL, 0, 0, 0),
        (_XOR_INDEX, 0, 0, 0),
        (_TIMES, 0, 0, keys.mix),
        (_STORE, 0, 0, 0),
    ]


def attach(sock: socket.socket, keys: TagKeys, fraction: float, draw: int) -> bool:
    """Have the kernel filter the datagrams for ``sock`` from now on. False if it does not."""
    if not LINUX:
        return False
    instructions = program(keys, fraction, draw, sock.family)
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in instructions))
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM.pack(len(instructions), ctypes.addressof(code))
        )
    except OSError:
        return False
    return True
