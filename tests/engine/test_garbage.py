import gc
import weakref

import pytest

from winnow.engine.garbage import kept_to_the_end


class Ring:
    """Refers to itself: garbage that only the collector finds."""

    def __init__(self) -> None:
        self.own = self


def test_what_is_made_stays_and_garbage_of_later_goes():
    before = gc.get_freeze_count()
    with kept_to_the_end():
        assert not gc.isenabled()
        kept = [Ring() for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000
    assert not any(isinstance(found, Ring) for found in gc.get_objects())
    later = weakref.ref(Ring())
    gc.collect()
    assert later() is None
    assert len(kept) == 1000


def test_garbage_is_looked_for_again_after_an_import_that_failed():
    with pytest.raises(ImportError), kept_to_the_end():
        raise ImportError
    assert gc.isenabled()
