"""Scopes and choices: blocks nest, end where they are left, and hear what is committed."""

import asyncio
import contextvars
import threading

import pytest

import rwsplit
from rwsplit._core.cluster.position import GtidList, GtidSet, encode, strange
from rwsplit._core.session.state import State
from rwsplit._core.setup.options import Choice
from rwsplit._shell.context import current
from rwsplit._shell.process import ProcessPosition
from rwsplit._shell.scope import Listeners, Scope

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
ONE = f"my1.{SERVER}.1-5"


def gtids(text):
    return GtidSet.parse(text.replace("S", SERVER).replace("O", OTHER))


class Cluster:
    """As much of one as a scope looks at."""

    splits = has_gtids = True

    def __init__(self, flavor="mysql", seen=None):
        self.flavor, self.seen, self.replicas = flavor, seen, ()
        self.process = ProcessPosition()
        self.process.begin(flavor)

    def last_seen(self):
        return self.seen

    def all_around_have(self, position):
        return bool(self.replicas) and all(each.has(position) for each in self.replicas)


class Replica:
    def __init__(self, position):
        self.has = position.covers


# Blocks.


def test_outside_of_blocks_there_is_nothing():
    assert current.get() is None
    assert rwsplit.current_scope() is None


def test_blocks_nest_and_end_where_they_are_left():
    with rwsplit.session_id("a") as name, rwsplit.scope() as outer:
        assert name == "a"
        before = current.get()
        assert before.session_id == "a"
        with rwsplit.using(consistency="global"), rwsplit.scope(session_id=7) as inner:
            assert rwsplit.current_scope() is inner
            assert current.get().session_id == "7"
            assert current.get().choice == Choice("global")
        assert current.get() is before
        assert rwsplit.current_scope() is outer
    assert current.get() is None


def test_blocks_that_end_in_another_order_than_they_began():
    one, two, three = rwsplit.scope(), rwsplit.using(reads="primary"), rwsplit.session_id("x")
    for block in (one, two, three):
        block.__enter__()
    one.__exit__(None, None, None)
    assert current.get()[2:5] == ("x", None, Choice(reads="primary"))
    three.__exit__(None, None, None)
    assert current.get()[2:5] == (None, None, Choice(reads="primary"))
    two.__exit__(None, None, None)
    assert current.get() is None


@pytest.mark.parametrize(
    "make",
    [
        rwsplit.scope,
        lambda: rwsplit.using(reads="primary"),
        lambda: rwsplit.session_id(1),
        lambda: rwsplit.tags(a="b"),
    ],
)
def test_a_block_may_end_in_another_context(make):
    """As those of generators do that a framework runs in threads."""

    def dependency():
        with make() as block:
            yield block

    generator = dependency()
    contextvars.copy_context().run(next, generator)
    assert current.get() is None
    contextvars.copy_context().run(next, generator, None)
    with rwsplit.scope() as mine:
        generator = dependency()
        contextvars.copy_context().run(next, generator)
        next(generator, None)
        assert rwsplit.current_scope() is mine


def test_an_error_ends_a_block():
    with pytest.raises(KeyError), rwsplit.scope():
        raise KeyError
    assert current.get() is None


def test_a_block_may_be_entered_twice():
    block = rwsplit.scope()
    with block:
        with block:
            assert rwsplit.current_scope() is block
        assert rwsplit.current_scope() is block
    with block:
        assert rwsplit.current_scope() is block
    assert current.get() is None


def test_decorated_functions():
    seen = []

    @rwsplit.scope(after=ONE)
    def look(number, *, name):
        seen.append(rwsplit.current_scope())
        return number, name

    assert look(1, name="n") == look(1, name="n") == (1, "n")
    assert seen[0] is not seen[1], "each call is a scope of its own"
    assert {scope.position for scope in seen} == {ONE}
    assert look.__name__ == "look"

    @rwsplit.using(consistency="eventual")
    async def read():
        await asyncio.sleep(0)
        return current.get().choice

    async def both():
        return await asyncio.gather(read(), read())

    assert asyncio.run(both()) == [Choice("eventual")] * 2
    assert current.get() is None

    @rwsplit.using(reads="primary")
    def recursive(depth):
        assert current.get().choice == Choice(reads="primary")
        return depth and recursive(depth - 1)

    recursive(3)
    assert current.get() is None


def test_decorated_objects_that_are_called():
    class View:
        async def __call__(self):
            await asyncio.sleep(0)
            return current.get().choice

    def returns_a_coroutine():
        return View()()

    for function in (View(), returns_a_coroutine):
        decorated = rwsplit.using(consistency="global")(function)
        assert asyncio.run(decorated()) == Choice("global")
    assert current.get() is None


def test_tags_add_to_each_other_and_end_anywhere():
    with rwsplit.tags(a="1", b="1") as outer, rwsplit.scope(), rwsplit.tags(b="2") as inner:
        assert (outer, inner) == ({"a": "1", "b": "1"}, {"a": "1", "b": "2"})
        assert current.get().tags == inner

    @rwsplit.tags(view="report")
    async def report():
        return current.get().tags

    assert asyncio.run(report()) == {"view": "report"}
    assert current.get() is None
    with pytest.raises(TypeError, match="expected a text for a"):
        rwsplit.tags(a=1)


def test_generators_are_not_decorated():
    def values():
        yield 1

    async def values_async():
        yield 1

    for function in (values, values_async):
        with pytest.raises(TypeError, match="is a generator"):
            rwsplit.scope()(function)


def test_tasks_have_blocks_of_their_own_and_share_the_scope():
    async def request(number):
        async with rwsplit.scope() as mine:
            await asyncio.sleep(0)
            assert rwsplit.current_scope() is mine
            assert await asyncio.to_thread(rwsplit.current_scope) is mine

            async def child():
                assert rwsplit.current_scope() is mine
                async with rwsplit.using(reads="primary"), rwsplit.session_id(number) as name:
                    await asyncio.sleep(0)
                    assert name == str(number)
                    assert current.get().session_id == str(number)

            await asyncio.gather(child(), child())
            assert current.get().choice is None

    async def all_of_them():
        await asyncio.gather(*map(request, range(20)))
        assert current.get() is None

    asyncio.run(all_of_them())


# What they take.


@pytest.mark.parametrize("bad", ["x", "my1.1", "my2.5", 5, b"my1", ONE + "\n", ONE.upper()])
def test_bad_positions(bad):
    with pytest.raises(ValueError, match="after"):
        rwsplit.scope(after=bad)


def test_bad_ids():
    with pytest.raises(rwsplit.ProgrammingError, match="session_id"):
        rwsplit.scope(session_id="")


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_to_begin_with(nothing):
    with rwsplit.scope(nothing) as scope:
        assert scope.position == ""
    assert not scope.wrote
    assert scope.settled


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"consistency": "strong"}, "consistency"),
        ({"reads": "replica"}, "reads"),
        ({"max_staleness": 0}, "max_staleness"),
        ({"max_staleness": "5"}, "max_staleness"),
        ({"group": ""}, "group"),
        ({"group": 3}, "group"),
    ],
)
def test_bad_choices(given, named):
    with pytest.raises(ValueError, match=named):
        rwsplit.using(**given)


def test_choices_add_to_each_other():
    with (
        rwsplit.using(consistency="global", max_staleness=5),
        rwsplit.using(consistency="EVENTUAL"),
    ):
        assert current.get().choice == Choice("eventual", None, 5.0, None)


# Positions.


def test_positions_are_joined():
    assert rwsplit.join_positions() == rwsplit.join_positions("", None) == ""
    assert rwsplit.join_positions(ONE) == ONE
    assert rwsplit.join_positions(ONE, f"my1.{SERVER}.4-9", "") == f"my1.{SERVER}.1-9"
    for bad in (["x"], [ONE, "ma1.0-1-7"], ["", "my1.x"]):
        with pytest.raises(ValueError, match="position"):
            rwsplit.join_positions(*bad)


def test_what_is_of_strangers():
    assert strange(gtids("S:1-9,O:1,S:t:1"), gtids("S:1-5")) == gtids("O:1,S:t:1")
    assert not strange(gtids("S:1-9"), gtids("S:1-5"))
    assert strange(GtidList.parse("0-1-9,3-1-1"), GtidList.parse("0-1-5")) == GtidList.parse(
        "3-1-1"
    )
    with pytest.raises(TypeError):
        strange(gtids("S:1"), GtidList())


def part_of(scope, cluster):
    return scope.part(cluster, None)


def test_what_is_committed_is_heard_by_all_around():
    cluster = Cluster()
    with rwsplit.scope() as outer, rwsplit.scope() as inner, rwsplit.scope() as bystander:
        pass
    part = part_of(inner, cluster)
    assert part is part_of(outer, cluster)
    session = State(gtids(""), None, cluster.process)
    session.tell(Listeners((cluster.process, part), inner.around()))
    assert part.latest is None
    session.has_committed(f"{SERVER}:7")
    assert (outer.wrote, inner.wrote, bystander.wrote) == (True, True, False)
    assert outer.position == inner.position == f"my1.{SERVER}.7"
    assert part.latest == f"{SERVER}:7"
    assert cluster.process.look(cluster.last_seen).position == gtids("S:7")


def test_a_doubt_is_settled_for_all():
    cluster = Cluster()
    with rwsplit.scope() as scope:
        part = part_of(scope, cluster)
    session = State(gtids(""), None, Listeners((cluster.process, part), (scope,)))
    session.lose_position(unsure=True)
    assert scope.wrote
    assert scope.in_doubt
    assert not scope.settled
    assert part.look(cluster.last_seen).unsure
    session.find_position(gtids("S:1-3"))
    assert not scope.in_doubt
    assert not cluster.process.look(cluster.last_seen).doubt
    assert scope.position == f"my1.{SERVER}.1-3"


def test_a_doubt_of_one_is_not_settled_by_an_older_one():
    first, second = Cluster(), Cluster()
    old = first.process.doubt(unsure=False)
    new = second.process.doubt(unsure=False)
    second.process.settle(old, gtids("S:1"))
    assert second.process.look(second.last_seen).doubt == new


def test_settled_once_every_replica_has_it():
    cluster = Cluster()
    with rwsplit.scope(after=ONE) as scope:
        assert not scope.settled, "nobody has looked"
        part_of(scope, cluster)
        assert not scope.settled, "no replica is known"
        cluster.replicas = (Replica(gtids("S:1-9")), Replica(gtids("S:1-4")))
        assert not scope.settled
        cluster.replicas = (Replica(gtids("S:1-9")), Replica(gtids("S:1-5")))
        assert scope.settled
        cluster.replicas, cluster.splits = (), False
        assert not scope.settled, "others may have some"


def test_positions_of_another_flavor():
    mysql, mariadb = Cluster(), Cluster("mariadb")
    with rwsplit.scope(after=ONE) as scope:
        assert part_of(scope, mysql).asked == gtids("S:1-5")
        with pytest.raises(ValueError, match="a position of mysql"):
            part_of(scope, mariadb)
        assert scope.part(mariadb, None, joins=False).asked is None
    with Scope(ONE, is_checked=False) as strangers:
        pass
    assert part_of(strangers, mariadb).asked is None
    part_of(strangers, mariadb).note("0-1-7")
    with pytest.raises(ValueError, match="of MySQL and of MariaDB"):
        strangers.position


def test_a_scope_within_brings_what_it_was_asked_to_see():
    cluster = Cluster()
    with rwsplit.scope() as outer:
        part = part_of(outer, cluster)
        with rwsplit.scope(after=ONE) as inner:
            assert part.asked == gtids("S:1-5")
            assert part_of(inner, cluster) is part
        with rwsplit.scope(after=f"my1.{OTHER}.1"):
            pass
        assert outer.position == encode(gtids("S:1-5,O:1"))
    with rwsplit.scope() as outer, rwsplit.scope(after=ONE):
        assert part_of(outer, cluster).asked == gtids("S:1-5")


def test_connect_is_what_the_process_knows():
    cluster = Cluster(seen=gtids("S:1-7"))
    cluster.process.note(f"{SERVER}:9")
    with rwsplit.scope(after="connect") as scope:
        assert scope.position == ""
        part_of(scope, cluster)
        assert scope.position == f"my1.{SERVER}.1-7.9"
        assert not scope.begins_anew
    with rwsplit.scope() as scope:
        part_of(scope, cluster)
        assert scope.position == ""
        assert scope.begins_anew
        with rwsplit.scope(after="connect"):
            assert scope.position == f"my1.{SERVER}.1-7.9"
    cluster.process.doubt(unsure=False)
    with rwsplit.scope(after="connect") as scope:
        part_of(scope, cluster)
        assert scope.in_doubt


def test_what_is_asked_for_is_looked_at_once():
    cluster = Cluster(seen=gtids("S:1-7"))
    with rwsplit.scope(after=f"my1.{SERVER}.1-9") as scope:
        part = part_of(scope, cluster)
        assert part.unchecked
        assert not part.may_be_elsewhere(cluster.last_seen()), "it may just have been written"
        assert not part.unchecked
    with rwsplit.scope(after=encode(gtids("S:1-9,O:5"))) as scope:
        part = part_of(scope, cluster)
        assert part.may_be_elsewhere(cluster.last_seen())
        part.take_primary(gtids("S:1-8"))
        heard = part.look(cluster.last_seen)
        assert heard.position == gtids("S:1-8"), "of what the primary does not have nothing"
        assert part.asked is None
        assert scope.position == encode(gtids("S:1-8,O:5")), "it may be another cluster's"
        assert not scope.settled


def test_what_is_asked_for_does_not_take_what_is_written_along():
    cluster = Cluster()
    with rwsplit.scope(after=f"my1.{OTHER}.1-9") as scope:
        part = part_of(scope, cluster)
        known = part.look(cluster.last_seen).position
        part.note(f"{SERVER}:3")
        part.look(cluster.last_seen)
        part.let_go(known, gtids("S:1-2"))
        assert part.look(cluster.last_seen).position.covers(gtids("S:3"))


def test_nothing_is_missing_that_threads_write():
    cluster = Cluster()
    with rwsplit.scope() as scope:
        part = part_of(scope, cluster)

    def write(source):
        for number in range(1, 200):
            part.note(f"{SERVER[:-1]}{source}:{number}")
            assert f"{SERVER[:-1]}{source}" in scope.position

    threads = [threading.Thread(target=write, args=(source,)) for source in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scope.position == encode(
        GtidSet.parse(",".join(f"{SERVER[:-1]}{source}:1-199" for source in range(4)))
    )
