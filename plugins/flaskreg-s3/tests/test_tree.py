"""The order of a walk, made from the order of keys."""

from __future__ import annotations

from flaskreg_s3.documents import Listed
from flaskreg_s3.tree import walk_tree
from hypothesis import given
from hypothesis import strategies as st


_names = st.text("ab-.0_", min_size=1, max_size=4)
_files = st.sets(st.lists(_names, min_size=1, max_size=4).map("/".join), max_size=30)


def walk(names, base=""):
    """Return what is walked of a bucket that has these keys."""
    listed = [Listed(f"root/{name}", 1, None) for name in sorted(names)]
    return [info.path for info in walk_tree(base, iter(listed), "root/")]


def expected(names):
    """Return files and their directories, in the order of components."""
    parts = {tuple(name.split("/")) for name in names}
    above = {each[:end] for each in parts for end in range(1, len(each))}
    found = sorted((each, True) for each in above)
    found += sorted((each, False) for each in parts)
    found.sort(key=lambda entry: (entry[0], not entry[1]))
    return ["/" + "/".join(each) for each, _ in found]


@given(_files)
def test_the_order_is_that_of_names(names):
    """A directory comes before what is in it, siblings by name, each once."""
    taken = {
        name for name in names if any(other.startswith(f"{name}/") for other in names)
    }
    names = names - taken
    assert walk(names) == expected(names)


def test_what_is_no_path_is_left_out():
    """The marks that other programs make of directories, and our own locks."""
    names = ["a/", "a/data", "a/data~writer", "b/~x/y"]
    assert walk(names) == ["/a", "/a/data"]


def test_little_is_kept_while_a_listing_is_read():
    """A walk of many keys yields long before it has read them all."""
    read = 0

    def listing():
        nonlocal read
        for number in range(10_000):
            read += 1
            yield Listed(f"root/{number // 100:04}/{number:06}/data", 1, None)

    walked = walk_tree("", listing(), "root/")
    for _ in range(300):
        next(walked)
    assert read < 200
