"""The heap of the compiled model against a sorted list."""

from hypothesis import given
from hypothesis import strategies as st

from simlib.model.heap import make_heap, pop, push, replace_top


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.sampled_from(["push", "replace", "pop"])), max_size=40))
def test_the_heap_against_a_sorted_list(deeds):
    heap, items = make_heap(len(deeds)), []
    for time, item, deed in deeds:
        if deed == "push" or not items:
            push(heap, len(items), float(time), item)
            items.append((time, item))
        elif deed == "replace":
            replace_top(heap, float(time), item)
            items = [*sorted(items)[1:], (time, item)]
        else:
            pop(heap, len(items))
            items = sorted(items)[1:]
        assert heap.times[0] == (min(items)[0] if items else float("inf"))
        assert not items or heap.items[0] == min(items)[1]
