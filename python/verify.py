"""Tells whether answers are equal to references as mathematics, by math-verify.

Reads blocks of rows from standard input, a JSON array a line, and writes one line for each block: "measured " and a JSON array. A row has a
number (id), an answer and a reference. A result says whether the answer is right, or what the problem is: a side without an expression, or
one that takes too long. It ends when standard input does.
"""

import json
import logging
import re
import sys
from decimal import Decimal

from math_verify import parse, verify
from math_verify.errors import TimeoutException
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

LONGEST = 20_000  # characters of an answer; the last are read, where the result stands
SECONDS = 5  # for each side, and for the comparison
KINDS = [LatexExtractionConfig(), ExprExtractionConfig()]


def main() -> None:
    logging.disable(logging.CRITICAL)  # what cannot be read is told in the result
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    print("ready", json.dumps({"device": "cpu", "dtype": "exact"}), flush=True)
    for line in sys.stdin:
        rows = json.loads(line)
        print("measured", json.dumps([{"id": row["id"], **check(row)} for row in rows]), flush=True)


def check(row):
    if row["answer"].strip() == row["reference"].strip():
        return {"right": True}
    try:
        # a bare expression, as references often are, is LaTeX where it has commands, which only delimiters announce
        bare, delimited = row["reference"], f"${row['reference']}$"
        is_bare_latex = "\\" in bare and not any(sign in bare for sign in ("$", "\\(", "\\[", "\\boxed"))
        is_words = "\\" not in bare and re.search(r"[^\W\d_]{2}", bare)  # as LaTeX, a product of letters
        reference = read(delimited if is_bare_latex else bare)
        if not reference and not is_words:
            reference = read(bare if is_bare_latex else delimited)
        if not reference:
            return {"problem": "its reference holds no mathematical expression"}
        answer = read_answer(row["answer"][-LONGEST:])
        if not answer:
            return {"problem": "its answer holds no mathematical expression"}
        return {"right": bool(verify(reference, answer, timeout_seconds=SECONDS, raise_on_error=True))}
    except TimeoutException:
        return {"problem": f"it takes over {SECONDS} seconds"}
    except Exception as error:  # what SymPy cannot do
        return {"problem": f"{type(error).__name__}: {error}"[:200]}


def read_answer(text):
    """The answer's last box, however it is delimited, else its last expression."""
    start = text.rfind("\\boxed{")
    depth = 0
    for end in range(start, len(text)) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0 and text[end] == "}":
            if re.search(r"\}\$?\s*(,|;|and|or)\s*\$?$", text[:start]):  # one of several values
                return read(text)
            return read(f"${text[start : end + 1]}$") or read(text)
    return read(text)


SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
FRACTIONS = dict(zip("½⅓⅔¼¾⅕⅛⅜⅝⅞", "1/2 1/3 2/3 1/4 3/4 1/5 1/8 3/8 5/8 7/8".split()))


def plain(text):
    """A text with the signs that math-verify does not know as those that it does: − ½ 2³ 1.5e3 3 × 10^8."""
    text = text.replace("\u2212", "-")
    text = re.sub(r"(\d*)([½⅓⅔¼¾⅕⅛⅜⅝⅞])", mixed, text)
    ten = r"(?<![\w.,])(?:(\d+(?:\.\d+)?)\s*[x×·*]\s*)?10([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})"
    text = re.sub(ten, lambda m: written_out(m[1] or "1", int(m[2].translate(SUPERSCRIPTS))), text)
    power = r"(?<![\w.^{])(\d{1,9})([⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})"
    text = re.sub(power, lambda m: str(int(m[1]) ** int(m[2].translate(SUPERSCRIPTS))), text)
    text = re.sub(r"(?<=[\w)}])[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: f"^{{{m[0].translate(SUPERSCRIPTS)}}}", text)
    if "\\" in text or "$" in text:
        return text  # in LaTeX, math-verify reads powers of ten itself
    # elsewhere they are written out, since after a number their sign and base are read as something else
    times = r"\s*[x×·*]\s*10\s*(?:\^|\*\*)\s*(?:\{([-+]?\d{1,3})\}|([-+]?\d{1,3})(?![\w{.]))"
    number = rf"(?<![\w.,^_/])([-+]?\d+(?:\.\d+)?)(?:{times}|[eE]([-+]?\d{{1,3}})(?![\w.]))"
    return re.sub(number, lambda m: written_out(m[1], int(m[2] or m[3] or m[4])), text)


def mixed(match):
    whole, sign = match.groups()
    return f"({whole}+{FRACTIONS[sign]})" if whole else FRACTIONS[sign]


def written_out(digits, exponent):
    return format(Decimal(digits).scaleb(exponent), "f")


def read(text):
    return parse(plain(text), extraction_config=KINDS, parsing_timeout=SECONDS)


if __name__ == "__main__":
    main()
