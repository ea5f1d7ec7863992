"""Replays traces of ../src/machine/ in the reference, and says where it would have gone another way.

    python3 programs.py <folder of definitions.py> < traces

Each trace stands between a line `program <name> <deterministic|free>` and a line `end`; ../src/machine/trace.rs says what its lines
are. The answer is a line each: `<name> ok <lines>`, or `<name> <line> <what the reference does there>`.

Where the reference leaves a choice (which of the ready threads runs, which of the pending events is taken, whether a wait whose
condition holds goes on at once), it is made as in the trace, which has to be one of those that the reference has. All else must be
the same: what each built-in answers, what is in memory, when a thread blocks, where a trap is; and after each thing that the host
does, what is in the tables, what threads wait for, and which of them are ready. A trace in which nothing was ready, and the
reference has somebody who is, is a lost wake-up.
"""

import sys
import traceback
import zlib

sys.dont_write_bytecode = True

import reference
from reference import *


class Diverged(BaseException):
    """The reference goes another way than the trace."""


def who(thread):
    return f"{thread.task.inst.number}.{thread.index}"


reference.observe(lambda thread: world.expect(f"park {who(thread)}"))


class Choices:
    """Stands for the module `random`."""

    def choice(self, threads):
        line = world.peek()
        for thread in threads:
            if world.is_turn_of(thread, line):
                return thread
        if line.startswith("error"):
            # A synchronous call runs nobody whose task needs the exclusive lock in between: the tests of the pinned commit have
            # it so. Another trap came before anything that the trace would show.
            gated = lambda t: t is t.task.implicit_thread and t.task.ft.async_ and t.task.needs_exclusive()
            if "CannotBlockSync" not in line or all(gated(t) for t in threads):
                raise Trap()
        names = ", ".join(sorted(world.describe(thread) for thread in threads))
        raise Diverged(f"it would run one of: {names}")

    def shuffle(self, waitables):
        """The event of the trace comes first."""
        words = world.peek().split()
        match words[0]:
            case "value" | "resume":
                index = int(words[4])
            case "callback":
                index = int(words[5])
            case _:
                return
        table = d.current_instance().handles.array
        chosen = table[index] if index < len(table) else None
        waitables.sort(key=lambda w: w is not chosen)

    def randint(self, low, high):
        """Whether a wait whose condition holds goes on at once."""
        if world.builtin == "error-context.new":
            return 0
        thread, line = d.current_thread(), world.peek()
        if thread.index is None:
            return int(line.startswith("enter "))
        me = who(thread)
        return int(line.startswith((f"value {me} ", f"callback as {me} ")))


d.random = Choices()

KINDS = ["Callback", "Stackful", "SyncLifted", "SyncTyped", "CallbackStream", "StackfulU32", "CallbackBorrow", "StackfulOwn", "StackfulError"]
TYPES = {
    "stream u8": StreamType(U8Type()), "stream unit": StreamType(None),
    "future u8": FutureType(U8Type()), "future unit": FutureType(None),
}
START = CoreFuncType(["i32"], [])


class World:
    """The instances of ../src/machine/mod.rs."""

    def __init__(self, lines):
        self.lines, self.at, self.builtin = lines, 0, None
        self.store = Store()
        self.calls = {}
        self.instances = {}
        self.functions = {}
        for number, parent in [(1, None), (2, None), (3, 1)]:
            instance = ComponentInstance(self.store, self.instances.get(parent))
            instance.number = number
            instance.memory = MemInst(bytearray((at * 7 ^ number << 4) & 0x7F for at in range(128)), "i32")
            self.instances[number] = instance
        self.resource = ResourceType(self.instances[2])
        for number, instance in self.instances.items():
            realloc = lambda args: [64]
            options = lambda **more: CanonicalOptions(memory=instance.memory, realloc=realloc, **more)
            instance.options = {"sync": options(), "async": options(async_=True)}
            with_callback = options(async_=True, callback=self.callback)
            for kind in KINDS:
                params = {
                    "CallbackStream": [TYPES["stream u8"]], "StackfulU32": [U32Type()], "CallbackBorrow": [BorrowType(self.resource)],
                    "StackfulOwn": [OwnType(self.resource)], "StackfulError": [ErrorContextType()],
                }.get(kind, [])
                ft = FuncType(params, [U32Type()] if kind == "StackfulU32" else [], async_=kind != "SyncTyped")
                opts = with_callback if kind.startswith("Callback") else instance.options["sync" if kind.startswith("Sync") else "async"]
                self.functions[number, kind] = (ft, self.store.lift(self.core_function(kind), ft, opts, instance))

    # The trace.

    def peek(self):
        return self.lines[self.at] if self.at < len(self.lines) else "the end"

    def take(self):
        line = self.peek()
        self.at += 1
        return line

    def expect(self, line):
        if self.peek() != line:
            raise Diverged(line)
        self.at += 1

    def memories(self):
        return f"{zlib.crc32(b''.join(i.memory.bytes for i in self.instances.values())):x}"

    # Threads.

    def task_of(self, whose):
        """The task of a call that has not entered: `host N`, `handle I.H`, `thread I.T`."""
        kind, which = whose
        if kind == "host":
            return self.calls[int(which)].__self__
        number, index = map(int, which.split("."))
        if kind == "handle":
            subtask = self.instances[number].handles.get(index)
        else:
            # The thread waits for `subtask.resolved`.
            subtask = self.instances[number].threads.get(index).ready_func.__self__
        return subtask.on_cancel.__self__

    def is_turn_of(self, thread, line):
        words = line.split()
        match words[0]:
            case "enter":
                waits = thread.index is None and words[1] != "now"
                return waits and self.task_of(words[1:3]).implicit_thread is thread
            case "callback":
                return thread.index is not None and who(thread) == words[2]
            case "start" | "resume":
                return thread.index is not None and who(thread) == words[1]
        return False

    def describe(self, thread):
        return who(thread) if thread.index is not None else f"a call that waits to enter {thread.task.inst.number}"

    # The guests.

    def core_function(self, kind):
        def function(args):
            value = self.enter("enter", args)
            return [value] if kind.startswith("Callback") else []

        return function

    def callback(self, args):
        return [self.enter("callback", args)]

    def start(self, args):
        thread = d.current_thread()
        self.expect(f"start {who(thread)} {args[0]} {self.memories()}")
        self.run_guest(thread)
        return []

    def enter(self, how, args):
        thread = d.current_thread()
        as_who = " ".join(["as", who(thread), "with", *(str(int(arg)) for arg in args), self.memories()])
        # No argument is an empty word there.
        line = " ".join(self.peek().split())
        if not (line.startswith(how + " ") and line.endswith(" " + as_who)):
            raise Diverged(f"{how} {as_who}")
        self.at += 1
        return self.run_guest(thread)

    def run_guest(self, thread):
        me = who(thread)
        while True:
            words = self.take().split()
            if words[0] not in ("op", "return", "trap") or words[1] != me:
                self.at -= 1
                raise Diverged(f"thread {me} goes on")
            if words[0] == "return":
                return int(words[2])
            if words[0] == "trap":
                raise Trap()
            thread.in_builtin, thread.parked, self.builtin = True, False, words[2]
            result = self.call_builtin(thread, words[2], words[3:])
            thread.in_builtin, self.builtin = False, None
            how = "resume" if thread.parked else "value"
            line = f"{how} {me} {result[0] if result else 0} {self.memories()}"
            # For an event there is more, which was taken into account when it was chosen, and is in memory.
            if self.peek() != line and not self.peek().startswith(line + " "):
                raise Diverged(line)
            self.at += 1

    def call_builtin(self, thread, name, words):
        instance = thread.task.inst
        if name == "lower":
            number, kind, form, *args = words
            ft, function = self.functions[int(number), kind]
            opts = instance.options[form]
            count = len(flatten_functype(opts, ft, "lower").params)
            return self.store.lower(function, ft, opts, instance)([int(arg) for arg in args[:count]])
        if name == "task.return":
            result, value = words
            flat, types = ([int(value)], [U32Type()]) if result == "u32" else ([], [])
            return canon_task_return(types, instance.options["sync"], flat)
        if name in ("read", "write", "cancel-read", "cancel-write", "drop-readable", "drop-writable", "forward", "new"):
            return self.call_copy_builtin(instance, name, words)
        if name == "subtask.cancel":
            return canon_subtask_cancel(words[0] == "async", int(words[1]))
        args = [int(word) for word in words]
        memory = instance.memory
        switching = ["suspend-then-resume", "yield-then-resume", "suspend-then-promote", "yield-then-promote"]
        plain = {
            "resource.new": lambda rep: canon_resource_new(self.resource, rep),
            "resource.drop": lambda i: canon_resource_drop(self.resource, i),
            "context.get": lambda i: canon_context_get("i64", i),
            "context.set": lambda i, v: canon_context_set("i64", i, v),
            "backpressure.inc": canon_backpressure_inc,
            "backpressure.dec": canon_backpressure_dec,
            "task.cancel": canon_task_cancel,
            "waitable-set.new": canon_waitable_set_new,
            "waitable-set.wait": lambda si, ptr: canon_waitable_set_wait(False, memory, si, ptr),
            "waitable-set.poll": lambda si, ptr: canon_waitable_set_poll(False, memory, si, ptr),
            "waitable-set.drop": canon_waitable_set_drop,
            "waitable.join": canon_waitable_join,
            "subtask.drop": canon_subtask_drop,
            "thread.index": canon_thread_index,
            "thread.new-indirect": lambda fi, c: canon_thread_new_indirect(START, self, fi, c),
            "thread.resume-later": canon_thread_resume_later,
            "thread.suspend": lambda: canon_thread_suspend(False),
            "thread.yield": lambda: canon_thread_yield(False),
            "error-context.new": lambda ptr, n: canon_error_context_new(instance.options["sync"], ptr, n),
            "error-context.debug-message": lambda i, ptr: canon_error_context_debug_message(instance.options["sync"], i, ptr),
            "error-context.drop": canon_error_context_drop,
        }
        for switch in switching:
            function = getattr(d, "canon_thread_" + switch.replace("-", "_"))
            plain["thread." + switch] = lambda i, function=function: function(False, i)
        return plain[name](*args)

    def get(self, index):
        """Stands for the table of `thread.new-indirect`."""
        trap_if(index != 0)
        return CoreFuncRef(START, self.start)

    def call_copy_builtin(self, instance, name, words):
        kind, element, *words = words
        t = TYPES[f"{kind} {element}"]
        function = getattr(d, f"canon_{kind}_{name.replace('-', '_')}")
        if name == "new":
            return function(t)
        if name.startswith("drop") or name == "forward":
            return function(t, *map(int, words))
        form, i, *more = words
        if name.startswith("cancel"):
            result = function(t, form == "async", int(i))
            # The tests of the pinned commit want CANCELLED, with the count, where its definitions.py has COMPLETED.
            if kind == "stream" and result != [BLOCKED] and result[0] & 0xF == CopyResult.COMPLETED:
                return [result[0] | CopyResult.CANCELLED]
            return result
        ptr, n = map(int, more)
        args = (ptr, n) if kind == "stream" else (ptr,)
        return function(t, instance.options[form], int(i), *args)

    # The host.

    def replay(self):
        while self.at < len(self.lines):
            words = self.take().split()
            if words[0] != "host":
                self.at -= 1
                raise Diverged("control is back at the host")
            try:
                done = getattr(self, words[1])(*words[2:])
            except Trap:
                if not self.peek().startswith("error"):
                    raise Diverged("trap")
                return
            self.expect(f"done {int(done)}")
            self.expect(self.state())

    def tick(self):
        ready = [thread for thread in self.store.waiting if thread.ready()]
        if ready and self.peek() == "done 0":
            raise Diverged("ready: " + ", ".join(self.describe(thread) for thread in ready))
        self.store.tick()
        return bool(ready)

    def call(self, call, number, kind):
        call = int(call)
        ft, function = self.functions[int(number), kind]

        def on_resolve(result):
            words = "cancelled" if result is None else "returned " + " ".join(str(value) for value in result)
            self.expect(f"resolve {call} {words}")

        self.calls[call] = self.store.invoke(function, lambda: [5] * len(ft.params), on_resolve)
        return False

    def cancel(self, call):
        task = self.calls[int(call)].__self__
        # Ours may be asked at any time, and again.
        if task.state in (Task.State.INITIAL, Task.State.STARTED):
            self.store.nesting_depth += 1
            task.request_cancellation(None)
            self.store.nesting_depth -= 1
        return False

    # What there is: `state` of ../src/machine/look.rs.

    def state(self):
        return "state " + " | ".join(self.state_of(instance) for instance in self.instances.values())

    def state_of(self, instance):
        holder = instance.exclusive_thread
        words = [f"{instance.backpressure}/{instance.num_waiting_to_enter}/{who(holder) if holder else '-'}"]
        for index, handle in enumerate(instance.handles.array):
            if handle is not None:
                words.append(f"h{index}={self.state_of_handle(handle)}")
        for index, thread in enumerate(instance.threads.array):
            if thread is not None:
                waiting = "ready" if thread.ready() else "waiting"
                words.append(f"t{index}=" + ("running" if thread.running() else "suspended" if thread.suspended() else waiting))
        return " ".join(words)

    def state_of_handle(self, handle):
        match handle:
            case ResourceHandle():
                return f"{'own' if handle.own else 'borrow'}:{handle.rep}:{handle.num_lends}"
            case ErrorContext():
                return "error"
            case WaitableSet():
                return f"set:{handle.num_waiting}"
            case Subtask():
                text = f"subtask:{int(handle.state)}" + "c" * handle.cancellation_requested + "d" * handle.resolve_delivered()
            case CopyEnd():
                state = {
                    CopyState.IDLE: "idle", CopyState.COPYING: "copying", CopyState.CANCELLING_COPY: "cancelling", CopyState.DONE: "done",
                }[handle.state]
                future = "f" if isinstance(handle.shared, SharedFutureImpl) else "s"
                readable = "r" if isinstance(handle, (ReadableStreamEnd, ReadableFutureEnd)) else "w"
                text = f"{future}{readable}:{state}"
        return text + "!" * handle.has_pending_event() + "@" * handle.in_waitable_set()


def check(lines, deterministic):
    """`ok` and how many lines were replayed, or the line and what the reference does there."""
    global world
    d.DETERMINISTIC_PROFILE = deterministic
    world = World(lines)
    try:
        world.replay()
        return f"ok {world.at}"
    except Diverged as diverged:
        return f"{world.at} {diverged}"
    except (AssertionError, AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        if world.peek().startswith("error"):
            # Undefined there, a trap here.
            return f"ok {world.at}"
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{world.at} {type(error).__name__} {error} in {frame.name}: {frame.line}"
    finally:
        abandon_all()


def main():
    name, lines, deterministic = None, [], False
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line.startswith("program "):
            _, name, profile = line.split()
            lines, deterministic = [], profile == "deterministic"
        elif line == "end":
            print(name, check(lines, deterministic), flush=True)
        else:
            lines.append(line)


main()
