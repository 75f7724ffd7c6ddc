"""Reports made by hand, for what is said of them."""

from __future__ import annotations

from harness.report.model import Report

ROW = {
    "quantity": "output",
    "mode": "train",
    "dtype": "float32",
    "layout": "contiguous",
    "class": "tree",
    "ratio": 0.5,
    "ratio_at": "one",
    "ulp": 1.0,
    "elements": 10,
    "bitwise_equal": 5,
    "unjudged": 0,
    "vacuous": 0,
}


def result(verdict="agree", ratio=0.5, **more):
    """Return what a target did with a case."""
    close = {"ratio": ratio, "ulp": 1.0, "closer": "equal"}
    return {"verdict": verdict, "quantities": {"output": close}, **more}


def case(name="one", verdict="agree", ratio=0.5, line=1, **more):
    """Return a case and what "mine" did with it."""
    return {
        "id": name,
        "file": "cases/edge/some.yaml",
        "line": line,
        "tags": [],
        "results": {"mine": result(verdict, ratio, **more)},
    }


def matrix(name="grid", worst=0.5, **counts):
    """Return a matrix at line 99."""
    found = {"counts": {"cases": sum(counts.values()), **counts}, "worst": {"output": worst}}
    return {
        "id": name,
        "file": "cases/edge/some.yaml",
        "line": 99,
        "tags": [],
        "results": {"mine": found},
    }


def report(cases=(), matrices=(), held="tree", row=(), **more):
    """Return a report on "mine" against torch."""
    plain = {
        "environment": {"torch": "2.13.0", "threads": 1},
        "baseline": "torch",
        "targets": ["mine"],
        "summary": {"mine": {"cases": len(cases), "accuracy": {"output": held}}},
        "accuracy": {"mine": [{**ROW, "class": held, **dict(row)}]},
        "cases": list(cases),
        "matrices": list(matrices),
        **more,
    }
    return Report.model_validate(plain)
