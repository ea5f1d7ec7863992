"""Random values through the reference's loads, stores, lifts and lowers, as lines for ../tests/definitions/values.rs.

    python3 values.py <folder of definitions.py> <seed> <number of values>

A line has these fields, with `|` between them:

    type | its size and alignment for 32-bit pointers, and for 64-bit ones | its flat types, for each
    | the source: encoding, pointers | the destination | bytes of the source's memory | where the value is
    | where it goes | where the destination's realloc begins | `trap`, or
    `ok` | bytes of the destination's memory | flat values | calls of the destination's realloc

A value is lifted by the source and lowered by the destination; half of the sources are damaged first. Memories are full of
0xaa where nothing was written.
"""

import random
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

import definitions as d
from definitions import *

# The spec lets a host pass the bits of a NaN unchanged, which is what we do: floats are their bits here.
for name in [
    "decode_i32_as_float", "decode_i64_as_float", "encode_float_as_i32", "encode_float_as_i64",
    "canonicalize_nan32", "canonicalize_nan64", "maybe_scramble_nan32", "maybe_scramble_nan64",
]:
    assert hasattr(d, name), name
    setattr(d, name, lambda *args: args[-1])

SOURCE_BYTES, DESTINATION_BYTES = 4096, 32768
HEAP = 64
ENCODINGS = ["utf8", "utf16", "latin1+utf16"]
POINTERS = ["i32", "i64"]

r = random.Random(int(sys.argv[2]))


class Side:
    """A memory with a realloc that takes from the end and shrinks in place; stands for a LiftLowerContext."""

    def __init__(self, length, encoding, pointers):
        self.memory = bytearray(b"\xaa" * length)
        self.end = HEAP
        self.log = []
        self.opts = LiftLowerOptions(encoding, MemInst(self.memory, pointers))

    def reallocate(self, old, old_length, align, length):
        self.log.append((old, old_length, align, length))
        if old != 0 and length < old_length:
            return align_to(old, align)
        at = align_to(self.end, align)
        self.end = at + length
        if self.end > len(self.memory):
            d.trap()
        self.memory[at : at + old_length] = self.memory[old : old + old_length]
        return at

    def allocate(self, align, length):
        return self.reallocate(0, 0, align, length)


PRIMITIVES = {
    "b": BoolType, "s8": S8Type, "u8": U8Type, "s16": S16Type, "u16": U16Type, "s32": S32Type, "u32": U32Type,
    "s64": S64Type, "u64": U64Type, "f32": F32Type, "f64": F64Type, "c": CharType, "str": StringType,
}
WIDTHS = {
    S8Type: (8, True), U8Type: (8, False), S16Type: (16, True), U16Type: (16, False), S32Type: (32, True),
    U32Type: (32, False), S64Type: (64, True), U64Type: (64, False), F32Type: (32, False), F64Type: (64, False),
}


def group(kind, parts):
    return "(" + " ".join([kind] + parts) + ")"


def random_type(depth):
    """A type as text, despecialised, and as the reference's."""
    kind = r.random()
    if depth == 0 or kind < 0.33:
        name = r.choice(list(PRIMITIVES) + ["str", "str"])
        return name, PRIMITIVES[name]()
    inner = lambda: random_type(depth - 1)
    if kind < 0.50:
        fields = [inner() for _ in range(r.randint(1, 5))]
        types = [t for _, t in fields]
        text = group("r", [text for text, _ in fields])
        if r.random() < 0.3:
            return text, TupleType(types)
        return text, RecordType([FieldType(str(i), t) for i, t in enumerate(types)])
    if kind < 0.64:
        count = r.choice([1, 2, 3, 4, 5] + [256, 257, 300] * (r.random() < 0.1))
        cases = [inner() if r.random() < 0.7 and i < 6 else None for i in range(count)]
        text = group("v", ["_" if case is None else case[0] for case in cases])
        return text, VariantType([CaseType(str(i), case and case[1]) for i, case in enumerate(cases)])
    if kind < 0.69:
        text, t = inner()
        return group("v", ["_", text]), OptionType(t)
    if kind < 0.73:
        ok, err = [inner() if r.random() < 0.7 else None for _ in range(2)]
        texts = ["_" if case is None else case[0] for case in [ok, err]]
        return group("v", texts), ResultType(ok and ok[1], err and err[1])
    if kind < 0.76:
        count = r.choice([1, 2, 3, 256, 257])
        return group("v", ["_"] * count), EnumType([str(i) for i in range(count)])
    if kind < 0.87:
        text, t = inner()
        return group("l", [text]), ListType(t)
    if kind < 0.90:
        key = r.choice(["u8", "c", "str", "u64"])
        text, t = inner()
        return group("l", [group("r", [key, text])]), MapType(PRIMITIVES[key](), t)
    if kind < 0.95:
        text, t = inner()
        count = r.randint(1, 4)
        return group("f", [text, str(count)]), ListType(t, count)
    count = r.choice([1, 3, 7, 8, 9, 15, 16, 17, 31, 32])
    return group("g", [str(count)]), FlagsType([str(i) for i in range(count)])


def random_char():
    kind = r.random()
    if kind < 0.5:
        return chr(r.randint(0, 127))
    if kind < 0.7:
        return chr(r.randint(128, 255))
    if kind < 0.85:
        return chr(r.choice([r.randint(256, 0xD7FF), r.randint(0xE000, 0xFFFF)]))
    return chr(r.randint(0x10000, 0x10FFFF))


def random_string(encoding, pointers):
    """A string as the reference has it: the text, how it is encoded, its tagged code units."""
    length = r.choice([0, 0, 1, 2, 3, 5, r.randint(0, 20)] + [r.randint(200, 300)] * (r.random() < 0.1))
    text = "".join(random_char() for _ in range(length))
    kind = r.random()
    if kind < 0.25:
        text = "".join(chr(ord(c) & 127) for c in text)
    elif kind < 0.4:
        text = "".join(chr(ord(c) & 255) for c in text)
    if encoding == "utf8":
        return text, encoding, len(text.encode())
    units = len(text.encode("utf-16-le")) // 2
    if encoding == "utf16":
        return text, encoding, units
    if all(ord(c) < 256 for c in text) and r.random() < 0.7:
        return text, encoding, len(text)
    return text, encoding, units | utf16_tag(pointers)


def random_value(t, side):
    t = despecialize(t)
    encoding, pointers = side.opts.string_encoding, side.opts.memory.addrtype
    match t:
        case BoolType():
            return r.random() < 0.5
        case CharType():
            return random_char()
        case StringType():
            return random_string(encoding, pointers)
        case RecordType(fields):
            return {field.label: random_value(field.t, side) for field in fields}
        case VariantType(cases):
            case = r.choice(cases)
            return {case.label: random_value(case.t, side) if case.t is not None else None}
        case ListType(element, None):
            return [random_value(element, side) for _ in range(r.choice([0, 0, 1, 2, 3, r.randint(0, 12)]))]
        case ListType(element, length):
            return [random_value(element, side) for _ in range(length)]
        case FlagsType(labels):
            return {label: r.random() < 0.5 for label in labels}
    width, signed = WIDTHS[type(t)]
    value = r.getrandbits(width)
    return value - (1 << width) if signed and value >> (width - 1) else value


def store_own_string(side, value):
    """In the source each string lies as it says that it is encoded, whatever a lowering would make of it."""
    text, encoding, units = value
    tagged = units & utf16_tag(side.opts.memory.addrtype)
    codec = "utf-8" if encoding == "utf8" else "utf-16-le" if encoding == "utf16" or tagged else "latin-1"
    data = text.encode(codec)
    at = side.allocate(1 if encoding == "utf8" else 2, len(data))
    side.memory[at : at + len(data)] = data
    return at, units


lower_string = d.store_string_into_range


def retagged(source):
    """The reference looks for the tag of UTF-16 code units where the destination's pointers have it, though the source wrote
    it: where their widths differ it has to be moved first."""
    tag = utf16_tag(source.opts.memory.addrtype)

    def store_string(destination, value):
        text, encoding, units = value
        if encoding == "latin1+utf16" and units & tag:
            units = units ^ tag | utf16_tag(destination.opts.memory.addrtype)
        return lower_string(destination, (text, encoding, units))

    return store_string


def build(side, t, value, flat):
    """Puts a value into the source: its flat values, or its address."""
    d.store_string_into_range = store_own_string
    try:
        if flat:
            return d.lower_flat(side, value, t)
        pointers = side.opts.memory.addrtype
        at = side.allocate(alignment(t, pointers), elem_size(t, pointers))
        d.store(side, value, t, at)
        return at
    finally:
        d.store_string_into_range = retagged(side)


def damage(side, value, flat_types):
    for _ in range(r.choice([1, 1, 2, 4])):
        if side.end > HEAP:
            side.memory[r.randrange(HEAP, side.end)] = r.choice([0, 1, 2, 255, 0x80, 0xD8, 0xDC, r.getrandbits(8)])
    if isinstance(value, list) and value and r.random() < 0.5:
        i = r.randrange(len(value))
        width = 64 if flat_types[i] in ("i64", "f64") else 32
        value[i] = r.choice([r.getrandbits(width), value[i] ^ (1 << r.randrange(width)), r.randrange(8)])


def hexed(memory):
    return bytes(memory).rstrip(b"\xaa").hex() or "-"


def numbers(values):
    return ",".join(str(int(value)) for value in values)


def one():
    """A line, or None where the value found no room in the source."""
    text, t = random_type(r.randint(0, 4))
    source = Side(SOURCE_BYTES, r.choice(ENCODINGS), r.choice(POINTERS))
    destination = Side(DESTINATION_BYTES, r.choice(ENCODINGS), r.choice(POINTERS))
    flat_types = [flatten_type(t, LiftLowerOptions("utf8", MemInst(bytearray(), p))) for p in POINTERS]
    fits = len(flat_types[0]) <= 16
    flat_source, flat_destination = fits and r.random() < 0.5, fits and r.random() < 0.5
    try:
        lifted = build(source, t, random_value(t, source), flat_source)
    except (Trap, AssertionError):
        return None
    if r.random() < 0.5:
        damage(source, lifted, flat_types[POINTERS.index(source.opts.memory.addrtype)])
    at = None
    if not flat_destination:
        pointers = destination.opts.memory.addrtype
        at = destination.allocate(alignment(t, pointers), elem_size(t, pointers))
    destination.log, begin = [], destination.end
    fields = [
        text,
        numbers(f(t, p) for p in POINTERS for f in (elem_size, alignment)),
        " ".join(",".join(types) for types in flat_types),
        f"{source.opts.string_encoding} {source.opts.memory.addrtype}",
        f"{destination.opts.string_encoding} {destination.opts.memory.addrtype}",
        hexed(source.memory),
        "F " + numbers(lifted) if flat_source else f"M {lifted}",
        f"F {len(flat_types[0])}" if flat_destination else f"M {at}",
        str(begin),
    ]
    try:
        if flat_source:
            values = CoreValueIter(lifted)
            value = d.lift_flat(source, values, t)
            assert values.done()
        else:
            value = d.load(source, lifted, t)
        flat = []
        if flat_destination:
            flat = d.lower_flat(destination, value, t)
        else:
            d.store(destination, value, t, at)
    except Trap:
        return "|".join(fields + ["trap"])
    log = ";".join(numbers(call) for call in destination.log)
    return "|".join(fields + ["ok", hexed(destination.memory), numbers(flat), log])


def main():
    left = int(sys.argv[3])
    while left:
        line = one()
        if line:
            print(line)
            left -= 1


main()
