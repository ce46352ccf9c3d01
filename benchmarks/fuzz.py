"""Random calls of all that is public: every one works, or is refused in words.

Run with `python benchmarks/fuzz.py [--calls n] [--seed s]`. Containers, dtypes, odd values, methods
and parameters are drawn at random by `tests/_fuzz.py`; `tests/test_fuzz.py` makes some of
these calls. A call is to return, or to raise ValueError or TypeError in a text of skrnn's or
scikit-learn's that names the argument, sequence or column. Anything else is a finding: another
error, words of another library, a warning of floating-point arithmetic, predictions that are not
finite, an estimator that is changed by a call that fails, an argument that is changed in place.

Prints how often each method returned and raised, the messages by how often they came, and every
finding in full, with the number of its call: `draw_call(seed, number)` makes it again.
"""

import re
import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path

from _common import Table, print_machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from _fuzz import draw_call, judge

N_MESSAGES = 60
VALUES = re.compile(r"[-+]?\d[\d.e+-]*|'[^']*'|\[[^]]*\]|\([^)]*\)|\{[^}]*\}|<[^>]*>")


def main():
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--messages", type=int, default=N_MESSAGES, help="how many are printed")
    args = parser.parse_args()
    print_machine()
    outcomes, messages, findings = Counter(), Counter(), []
    for number in range(args.calls):
        call = draw_call(args.seed, number)
        verdict = judge(call)
        outcomes[call.name, verdict.outcome] += 1
        messages[VALUES.sub("#", verdict.message)[:150]] += 1
        if verdict.finding:
            findings.append(f"call {number}: {call}\n    {verdict.finding}")
    del messages[""]
    print_outcomes(outcomes)
    print(f"\n{len(messages)} different messages, but for values; the most frequent:\n")
    for message, count in messages.most_common(args.messages):
        print(f"{count:5} {' '.join(message.split())}")
    print(f"\n{len(findings)} findings\n")
    print("\n".join(findings))


def print_outcomes(outcomes):
    """Print how often each method returned, and what it raised."""
    kinds = ["returned", "ValueError", "TypeError", "NotFittedError", "InvalidParameterError"]
    table = Table("method", "calls", *kinds, "other")
    for name in sorted({name for name, _ in outcomes}):
        counts = [outcomes[name, kind] for kind in kinds]
        total = sum(n for (own, _), n in outcomes.items() if own == name)
        table.print_row(name, total, *counts, total - sum(counts))
    total = outcomes.total()
    sums = [sum(n for (_, own), n in outcomes.items() if own == kind) for kind in kinds]
    table.print_row("all", total, *sums, total - sum(sums))


if __name__ == "__main__":
    main()
