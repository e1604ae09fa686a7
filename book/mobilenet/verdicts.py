"""What the checks of the exercises share: no answer makes one raise."""

import functools

import numpy as np


def plain(answer):
    """Return an answer with NumPy's numbers and all lists as Python's.

    Arrays, tensors and lists become tuples, at any depth; what is none of
    these, such as a function, a dict or a set, stays as it is.
    """
    if not hasattr(answer, "tolist") and hasattr(answer, "numpy"):
        answer = answer.numpy()
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if isinstance(answer, (list, tuple)):
        return tuple(map(plain, answer))
    return answer


def careful(check):
    """Return a check that gets plain answers, not None, and never raises.

    What would stop it, in the answer or in the student's function, becomes a
    verdict of one line.
    """
    @functools.wraps(check)
    def verdict(answer, *others):
        answer = plain(answer)
        if answer is None:
            return "not answered yet"
        for part in answer if isinstance(answer, tuple) else (answer,):
            if part is None:
                return "not answered in full: a part of it is still None"
            if isinstance(part, float) and part != part:
                return "nan is not a number"
        try:
            with np.errstate(all="ignore"):
                words = check(answer, *others)
        except Exception as error:
            words = ("your function, or what it returns, stops the check"
                     if callable(answer) else "this has not the form asked for"
                     ) + f": {type(error).__name__}: {error}"
        return " ".join(words.split())[:300]
    return verdict
