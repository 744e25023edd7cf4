"""Reads what NVIDIA's assembler made of the kernels, and writes a table of it.

    python3 tools/sass.py ARCH FOLDER >>TABLE        FOLDER: NAME.sass and NAME.log of each file, made by tools/kernels.sh
    python3 tools/sass.py --compare OLD NEW          fails if a kernel of NEW is worse than in OLD, and names the lines

A kernel has a row for itself and one for each of its loops. A loop's row describes its fast path: of all ways from the
loop's beginning to its end that do the most work (multiply-adds, bytes moved), the one with the fewest instructions.
"""

import collections
import pathlib
import re
import sys

# Per multiprocessor: threads, blocks, bytes of shared memory (CUDA C++ Programming Guide, table of technical
# specifications per compute capability). All have 65,536 registers, given to warps in units of 256, and reserve 1 KiB of
# shared memory for each block.
LIMITS = {"sm_80": (2048, 32, 164), "sm_86": (1536, 16, 100), "sm_89": (1536, 24, 100), "sm_90": (2048, 32, 228)}

COLUMNS = ["arch", "kernel", "part", "registers", "spilled", "shared", "threads", "blocks", "instructions", "mix"]
INTEGER = """IMAD IADD3 IADD LEA LOP3 SHF ISETP SEL PRMT MOV IABS VIADD IMNMX VIMNMX VIADDMNMX I2F F2I I2I PLOP3 P2R R2P CS2R S2R
    F2F F2FP UIADD3 UIMAD ULEA USHF ULOP3 UMOV USEL UISETP R2UR S2UR SGXT I2FP BMSK UPRMT UPLOP3 UP2UR VOTE VOTEU LOP SHL SHR
    FLO POPC BREV UFLO UPOPC USGXT UBMSK ULDC LDC PSETP UF2FP VABSDIFF IDP I2IP FRND UCGABAR_ARV""".split()
CONTROL = """BRA BSSY BSYNC EXIT NOP WARPSYNC RET BREAK YIELD DEPBAR LDGDEPBAR BMOV BRX CCTL ERRBAR MEMBAR NANOSLEEP BPT JMP BRXU ENDCOLLECTIVE
    ACQBULK UCGABAR_WAIT""".split()
CALL_COST = 80  # about as many instructions as a 64-bit division takes


def functions(path):
    """The kernels of a file: name -> (instructions, index of each label). What follows a kernel's own code are functions
    that it calls, such as 64-bit division."""
    found, body, labels = {}, None, None
    for line in open(path):
        if entry := re.match(r"\.text\.(\S+):", line):
            body, labels = [], {}
            found[entry.group(1)] = (body, labels)
        elif line.startswith("//---"):
            body = None
        elif body is not None:
            if label := re.match(r"(\S+):\s*$", line):
                labels[label.group(1)] = len(body)
            elif instruction := re.match(r"\s+/\*[0-9a-f]+\*/\s+(.*?)\s*;", line):
                body.append(instruction.group(1))
    return found


def opcode(instruction):
    return re.sub(r"^@!?U?P\w+\s+", "", instruction).split()[0]


def kind(instruction):
    """What is counted together: FFMA, HMMA, LDS.128, INT, ..."""
    parts = opcode(instruction).split(".")
    name = parts[0]
    if name in ("LDG", "STG", "LDS", "STS", "LDL", "STL", "LDGSTS", "LD", "ST"):
        width = next((p for p in parts if p in ("U8", "S8", "U16", "S16", "64", "128")), "32")
        return f"{name}.{width.lstrip('US')}"
    if name == "HFMA2":  # how the assembler loads a constant
        return "INT"
    if name in ("FADD", "FMUL", "FSETP", "FMNMX", "FSEL", "FSET", "FCHK", "FSWZADD"):
        return "FP32"
    if name in ("DADD", "DMUL", "DFMA", "DSETP", "DMNMX"):
        return "FP64"
    if name in ("ATOM", "ATOMG", "ATOMS", "RED", "REDG"):
        return "ATOM"
    if name == "CALL":  # a call of a label of the kernel itself is a jump out of a loop
        called = re.search(r"\$(?:__cuda_sm\w+?_)?(\w+)\)", instruction)
        return f"CALL.{called.group(1)}" if called else "CTRL"
    if name in ("FFMA", "HMMA", "MUFU", "LDSM", "SHFL", "BAR"):
        return name
    if name in INTEGER:
        return "INT"
    if name in CONTROL:
        return "CTRL"
    return name


def moved(what):
    """Bytes that a lane moves by an instruction of this kind."""
    if what == "LDSM":
        return 16
    base, _, width = what.partition(".")
    return int(width) // 8 if base in ("LDG", "STG", "LDS", "STS", "LDGSTS", "LD", "ST") else 0


def target(instruction):
    found = re.search(r"\bBRA\b.*`\((\S+?)\)", instruction)
    return found.group(1) if found else None


def loops(body, labels):
    """First and last instruction of each loop, in the order of the code: a branch backwards closes it."""
    ends = {}
    for at, instruction in enumerate(body):
        head = labels.get(target(instruction))
        if head is not None and head < at:
            ends[head] = at
    return sorted(ends.items())


def fast_path(body, labels, first, last):
    """The kinds of instructions on the fast path from `first` to `last`, which is the branch back."""
    starts = {first}
    for at in range(first, last + 1):
        place = labels.get(target(body[at]))
        if place is not None:
            starts |= {place, at + 1}
        elif opcode(body[at]).startswith("EXIT"):
            starts.add(at + 1)
    starts |= {at for at in labels.values()}
    starts = sorted(at for at in starts if first <= at <= last)
    end = dict(zip(starts, starts[1:] + [last + 1]))
    best = {}  # from a block to the end: (work, -instructions, kinds)
    for start in reversed(starts):
        kinds = collections.Counter(kind(i) for i in body[start:end[start]])
        work = sum(moved(k) * n for k, n in kinds.items()) + 4 * kinds["FFMA"] + 64 * kinds["HMMA"]
        cost = sum(n * (CALL_COST if k.startswith("CALL") else 1) for k, n in kinds.items())
        tail = body[end[start] - 1]
        place = labels.get(target(tail))
        after = []
        if place is not None and start < place <= last:
            after.append(best.get(place))
        falls = not re.match(r"(BRA|EXIT|RET)", tail) or re.match(r"BRA(\.\S+)?\s+!?U?P\d", tail)
        if place == first and end[start] == last + 1:
            after.append((0, 0, collections.Counter()))
        elif falls and end[start] <= last:
            after.append(best.get(end[start]))
        after = [a for a in after if a]
        if after:
            chosen = max(after, key=lambda a: a[:2])
            best[start] = (work + chosen[0], chosen[1] - cost, kinds + chosen[2])
    return best[first][2] if first in best else collections.Counter(kind(i) for i in body[first:last + 1])


def own_code(body, labels):
    """Instructions of the kernel itself, without the functions that it calls."""
    inner = [at for name, at in labels.items() if "$" in name]
    return min(inner, default=len(body))


def mix_text(kinds):
    return " ".join(f"{k}:{n}" for k, n in sorted(kinds.items(), key=lambda item: (-item[1], item[0])) if n)


def resources(log):
    """ptxas -v: kernel -> (registers, spilled bytes, bytes of shared memory)."""
    found, name = {}, None
    spilled = 0
    for line in open(log):
        if entry := re.search(r"Compiling entry function '(\S+)'", line):
            name = entry.group(1)
        elif bytes_ := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled = int(bytes_.group(1)) + int(bytes_.group(2))
        elif used := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = (int(used.group(1)), spilled, int(shared.group(1)) if shared else 0)
    return found


def threads_of(ptx):
    """Threads per block: .maxntid, or the 256 of the project's launches."""
    text = open(ptx).read()
    found = {}
    for entry in re.finditer(r"\.entry (\w+)\((.*?)\n\{", text, re.S):
        bound = re.search(r"\.maxntid (\d+)", entry.group(2))
        found[entry.group(1)] = int(bound.group(1)) if bound else 256
    return found


def blocks_per_sm(arch, registers, shared, threads):
    most_threads, most_blocks, kib = LIMITS[arch]
    warps = -(-threads // 32)
    per_warp = -(-registers * 32 // 256) * 256
    by_registers = (65536 // per_warp) // warps
    by_shared = kib * 1024 // (shared + 1024)
    return min(most_threads // (32 * warps), most_blocks, by_registers, by_shared)


def table(arch, folder):
    for log in sorted(pathlib.Path(folder).glob("*.log")):
        name = log.stem
        threads = threads_of(f"kernels/prebuilt/{name}.ptx")
        used = resources(log)
        for kernel, (body, labels) in sorted(functions(log.with_suffix(".sass")).items()):
            registers, spilled, shared = used[kernel]
            blocks = blocks_per_sm(arch, registers, shared, threads[kernel])
            own = body[:own_code(body, labels)]
            row = [arch, kernel, "all", registers, spilled, shared, threads[kernel], blocks, len(own)]
            print(*row, mix_text(collections.Counter(map(kind, own))), sep="\t")
            for number, (first, last) in enumerate(l for l in loops(body, labels) if l[1] < len(own)):
                kinds = fast_path(body, labels, first, last)
                print(arch, kernel, f"loop {number}", *[""] * 5, sum(kinds.values()), mix_text(kinds), sep="\t")


def read(path):
    rows = {}
    for line in open(path):
        row = dict(zip(COLUMNS, line.rstrip("\n").split("\t")))
        if row["arch"] != "arch":
            row["mix"] = {k: int(n) for k, n in (part.split(":") for part in row["mix"].split())}
            rows[row["arch"], row["kernel"], row["part"]] = row
    return rows


def compare(old_path, new_path):
    old, new = read(old_path), read(new_path)
    worse = []
    for key, row in new.items():
        was = old.get(key)
        place = " ".join(key)
        if was is None:
            continue
        if key[2] == "all":
            if int(row["spilled"]) > int(was["spilled"]):
                worse.append(f"{place}: spills {row['spilled']} bytes, before {was['spilled']}")
            if int(row["blocks"]) < int(was["blocks"]):
                worse.append(f"{place}: {row['blocks']} blocks per multiprocessor, before {was['blocks']}")
            continue
        count, before = int(row["instructions"]), int(was["instructions"])
        if count > 1.05 * before:
            worse.append(f"{place}: {count} instructions, before {before}")
        for unit in ("FFMA", "HMMA"):
            share, share_before = row["mix"].get(unit, 0) / count, was["mix"].get(unit, 0) / before
            if share < share_before - 0.005:
                worse.append(f"{place}: {100 * share:.1f} % {unit}, before {100 * share_before:.1f} %")
    for line in worse:
        print(line)
    changed = sum(old.get(key) != row for key, row in new.items()) + sum(key not in new for key in old)
    if worse:
        sys.exit("worse than the committed table: mend it, or write the table anew and say why (tools/kernels.sh --update)")
    if changed:
        sys.exit(f"{changed} rows differ from the committed table, none is worse: write it anew (tools/kernels.sh --update)")


if __name__ == "__main__":
    if sys.argv[1] == "--compare":
        compare(sys.argv[2], sys.argv[3])
    else:
        table(sys.argv[1], sys.argv[2])
