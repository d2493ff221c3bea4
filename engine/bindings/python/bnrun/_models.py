"""fold, verify and inspect: what the programs bnfold and bnrun do, on models as files, bytes or onnx.ModelProto."""

from . import _engine
from ._reports import FoldReport, Inspection, VerifyReport


def _source(model):
    return model.SerializeToString() if hasattr(model, "SerializeToString") else model


def fold(model, output=None, *, only=(), skip=(), without=(), as_inference=False, max_growth=4.0):
    """Folds each BatchNormalization into the weights next to it. Writes the folded model to the file `output`, or keeps its
    bytes in the report's `model`. `only` and `skip` are glob patterns over node names, `without` names simplifications to
    leave out; one of them need stand in no list. What is written is not verified: see `verify`."""
    options = {"only": only, "skip": skip, "without": without, "as_inference": as_inference,
               "max_growth": max_growth}
    report, folded = _engine.fold(_source(model), output, options)
    return FoldReport(report, folded)


def verify(a, b, inputs=None, *, rtol=None, atol=None, range=None, shapes=None, rows=None, batches=8, seed=1, budget=5.0):
    """Do the models compute the same? On `inputs`, a dict from name to array or a list of such, else on numbers drawn from
    `range` (low, high) or from where model `a` says that its data lie. Without tolerances `b` may err a few times as much
    as `a` does. The report is true where they agree."""
    sets = [] if inputs is None else [inputs] if isinstance(inputs, dict) else list(inputs)
    options = {"inputs": sets, "rtol": rtol, "atol": atol, "range": range, "shapes": shapes or {}, "rows": rows,
               "batches": batches, "seed": seed, "budget": budget}
    return VerifyReport(_engine.verify(_source(a), _source(b), options))


def inspect(model):
    """What the model consists of, what it costs to run, and what folding would do."""
    return Inspection(_engine.inspect(_source(model)))
