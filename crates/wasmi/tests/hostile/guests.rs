//! Loops that guests run: a name, and what is done again and again. Each leaves the operand stack, its tables and its handles as they
//! were, so that nothing but what the engine keeps could grow.

/// Instructions that an engine does not run by itself: they call into its memory, its tables or its host.
pub const INSTRUCTIONS: &[(&str, &str)] = &[
    ("memory-grow-0", "(drop (memory.grow (local.get $zero)))"),
    ("memory-grow-refused", "(drop (memory.grow (i32.const 65536)))"),
    ("memory-grow-64", "(drop (memory.grow $wide (i64.const 0)))"),
    ("memory-grow-bytes-refused", "(drop (memory.grow $bytes (i32.const -1)))"),
    ("memory-size", "(drop (memory.size))"),
    ("memory-copy", "(memory.copy (i32.const 0) (i32.const 8) (i32.const 8))"),
    ("memory-copy-nothing", "(memory.copy (i32.const 0) (i32.const 8) (local.get $zero))"),
    ("memory-copy-other", "(memory.copy $bytes 0 (i32.const 0) (i32.const 0) (i32.const 8))"),
    ("memory-fill", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 8))"),
    ("memory-fill-64", "(memory.fill $wide (i64.const 0) (i32.const 7) (i64.const 8))"),
    ("memory-init", "(memory.init $data (i32.const 0) (i32.const 0) (local.get $zero))"),
    ("data-drop", "(data.drop $data)"),
    ("table-get", "(drop (table.get $table (i32.const 0)))"),
    ("table-set", "(table.set $table (i32.const 1) (ref.func $unit))"),
    ("table-size", "(drop (table.size $table))"),
    ("table-grow-0", "(drop (table.grow $table (ref.null func) (local.get $zero)))"),
    ("table-grow-refused", "(drop (table.grow $table (ref.null func) (i32.const -1)))"),
    ("table-fill", "(table.fill $table (i32.const 1) (ref.func $unit) (i32.const 2))"),
    ("table-copy", "(table.copy $table $table (i32.const 1) (i32.const 0) (i32.const 1))"),
    ("table-copy-other", "(table.copy $table $other (i32.const 1) (i32.const 0) (i32.const 1))"),
    ("table-init", "(table.init $table $elem (i32.const 0) (i32.const 0) (local.get $zero))"),
    ("elem-drop", "(elem.drop $elem)"),
    ("externref", "(table.set $externs (i32.const 0) (table.get $externs (i32.const 1)))"),
    ("ref-func", "(drop (ref.func $unit))"),
    ("ref-is-null", "(drop (ref.is_null (table.get $table (i32.const 0))))"),
    ("global", "(global.set $global (i64.add (global.get $global) (i64.const 1)))"),
    ("call", "(call $unit)"),
    ("call-many", "(drop (drop (drop (call $many (i32.const 1) (i64.const 2) (f64.const 3)))))"),
    ("call-indirect", "(call_indirect $table (type $unit) (i32.const 0))"),
    ("call-indirect-import", "(call_indirect $table (type $unit) (i32.const 3))"),
    ("call-import", "(call $imported)"),
    ("tail-call", "(call $tail)"),
    ("tail-call-import", "(call $tail-import)"),
    ("tail-call-indirect", "(call $tail-indirect (i32.const 0))"),
    ("tail-call-indirect-import", "(call $tail-indirect (i32.const 3))"),
    ("tail-calls", "(drop (call $tail-loop (i32.const 3)))"),
    ("br-table", "(block $a (block $b (br_table $a $b (local.get $zero))))"),
    ("select-ref", "(drop (select (result funcref) (ref.null func) (ref.func $unit) (local.get $zero)))"),
    ("wide-arithmetic", "(drop (drop (i64.add128 (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4))))"),
    ("trunc-sat", "(drop (i64.trunc_sat_f64_s (f64.const 1e300)))"),
    (
        "divide",
        "(drop (i64.div_s (i64.const 7) (i64.or (i64.extend_i32_u (local.get $zero)) (i64.const 3))))",
    ),
    ("f64-nearest", "(drop (f64.nearest (f64.sqrt (f64.const 2.5))))"),
    ("load-store", "(i64.store (i32.const 16) (i64.load (i32.const 8)))"),
    ("load-store-64", "(i64.store $wide (i64.const 16) (i64.load $wide (i64.const 8)))"),
];

/// Built-ins, and calls through them.
pub const BUILTINS: &[(&str, &str)] = &[
    ("context", "(call $context.set (i32.add (call $context.get) (i32.const 1)))"),
    ("backpressure", "(call $backpressure.inc) (call $backpressure.dec)"),
    ("set-new-drop", "(call $set.drop (call $set.new))"),
    ("set-poll", "(drop (call $set.poll (global.get $set) (i32.const 0)))"),
    ("join", "(call $join (global.get $end) (global.get $set)) (call $join (global.get $end) (i32.const 0))"),
    ("resource", "(call $resource.drop (call $resource.new (local.get $i)))"),
    ("resource-rep", "(drop (call $resource.rep (global.get $resource)))"),
    (
        "stream-new-drop",
        "(local.set $pair (call $stream.new))
        (call $stream.drop-readable (i32.wrap_i64 (local.get $pair)))
        (call $stream.drop-writable (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))",
    ),
    (
        "stream-blocked-cancel",
        "(drop (call $stream.read (global.get $end) (i32.const 0) (i32.const 1)))
        (drop (call $stream.cancel-read (global.get $end)))",
    ),
    (
        "stream-write-read",
        "(drop (call $stream.write (global.get $writer) (i32.const 0) (i32.const 1)))
        (drop (call $stream.read (global.get $end) (i32.const 8) (i32.const 1)))
        (drop (call $set.poll (global.get $writers) (i32.const 16)))",
    ),
    (
        "future-new-write-drop",
        "(local.set $pair (call $future.new))
        (drop (call $future.read (i32.wrap_i64 (local.get $pair)) (i32.const 0)))
        (drop (call $future.write (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))) (i32.const 8)))
        (call $future.drop-writable (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
        (call $join (i32.wrap_i64 (local.get $pair)) (global.get $set))
        (drop (call $set.poll (global.get $set) (i32.const 16)))
        (call $future.drop-readable (i32.wrap_i64 (local.get $pair)))",
    ),
    ("error-context", "(call $error-context.drop (call $error-context.new (i32.const 0) (i32.const 8)))"),
    ("error-context-message", "(call $error-context.debug-message (global.get $error) (i32.const 16))"),
    ("thread-index", "(drop (call $thread.index))"),
    ("thread-yield", "(drop (call $thread.yield))"),
    (
        "thread-new-run",
        "(drop (call $thread.yield-then-resume (call $thread.new (i32.const 0) (local.get $i))))",
    ),
    ("lower-sync", "(call $callee)"),
    ("lower-sync-tail", "(call $tail-callee)"),
    ("lower-async", "(drop (call $callee-async))"),
    ("lower-list", "(call $take (i32.const 0) (i32.const 8))"),
    (
        "lower-blocked",
        "(local.set $task (i32.shr_u (call $blocks) (i32.const 4)))
        (drop (call $subtask.cancel (local.get $task)))
        (call $subtask.drop (local.get $task))",
    ),
    ("host", "(call $host)"),
    ("host-tail", "(call $tail-host)"),
    ("host-string", "(call $host-string (i32.const 0) (i32.const 8))"),
    ("destructor", "(call $dtor.drop (call $dtor.new (local.get $i)))"),
];

/// A core function that does something `n` times.
fn looped((name, body): &(&str, &str)) -> String {
    format!(
        r#"(func (export "{name}") (param $n i32) (local $i i32) (local $zero i32) (local $pair i64) (local $task i32)
          (loop $next
            {body}
            (br_if $next (i32.ne (local.get $n) (local.tee $i (i32.add (local.get $i) (i32.const 1)))))))"#
    )
}

fn lifted((name, _): &(&str, &str), ty: &str) -> String {
    format!(r#"(func (export "{name}") {ty} (param "n" u32) (canon lift (core func $m "{name}")))"#)
}

/// A component with a function for each of [`INSTRUCTIONS`].
pub fn instructions() -> String {
    let loops: String = INSTRUCTIONS.iter().map(looped).collect();
    let lifts: String = INSTRUCTIONS.iter().map(|case| lifted(case, "")).collect();
    format!(
        r#"(component
  (core module $Other (func (export "unit")))
  (core instance $other (instantiate $Other))
  (core module $M
    (type $unit (func))
    (import "" "unit" (func $imported))
    (memory 1 2)
    (memory $wide i64 1 2)
    (memory $bytes 64 128 (pagesize 1))
    (data $data "01234567")
    (table $table 4 8 funcref)
    (table $other 2 funcref)
    (table $externs 2 externref)
    (elem (table $table) (i32.const 0) func $unit $unit $unit $imported)
    (elem $elem func $unit)
    (global $global (mut i64) (i64.const 0))
    (func $unit)
    (func $many (param i32 i64 f64) (result i32 i64 f64) (local.get 0) (local.get 1) (local.get 2))
    (func $tail (return_call $unit))
    (func $tail-import (return_call $imported))
    (func $tail-indirect (param i32) (return_call_indirect $table (type $unit) (local.get 0)))
    (func $tail-loop (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 0))
        (else (return_call $tail-loop (i32.sub (local.get 0) (i32.const 1))))))
    {loops})
  (core instance $m (instantiate $M (with "" (instance $other))))
  {lifts})"#
    )
}

/// A component with a function for each of [`BUILTINS`]; `host` and `host-string` are the host's.
pub fn builtins() -> String {
    let loops: String = BUILTINS.iter().map(looped).collect();
    let lifts: String = BUILTINS.iter().map(|case| lifted(case, "async")).collect();
    format!(
        r#"(component
  (import "host" (func $host))
  (import "host-string" (func $host-string (param "s" string)))
  (component $Callee
    (core module $Libc (memory (export "mem") 1))
    (core instance $libc (instantiate $Libc))
    (core func $wait (canon waitable-set.wait (memory (core memory $libc "mem"))))
    (core func $set.new (canon waitable-set.new))
    (core func $set.drop (canon waitable-set.drop))
    (core func $cancel (canon task.cancel))
    (core func $return (canon task.return))
    (core module $M
      (import "" "set.new" (func $set.new (result i32)))
      (import "" "cancel" (func $cancel))
      (import "" "return" (func $return))
      (global $set (mut i32) (i32.const 0))
      (func (export "unit"))
      (func (export "return") (result i32) (call $return) (i32.const 0))
      (func (export "take") (param i32 i32))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
      (func $start (global.set $set (call $set.new)))
      (start $start)
      (func (export "blocks") (result i32)
        (i32.or (i32.const 2) (i32.shl (global.get $set) (i32.const 4))))
      (func (export "unused") (param i32 i32 i32) (result i32) unreachable)
      (func (export "callback") (param i32 i32 i32) (result i32) (call $cancel) (i32.const 0)))
    (core instance $m (instantiate $M (with "" (instance
      (export "set.new" (func $set.new)) (export "cancel" (func $cancel)) (export "return" (func $return))))))
    (func (export "unit") (canon lift (core func $m "unit")))
    (func (export "async") async
      (canon lift (core func $m "return") async (callback (core func $m "unused"))))
    (func (export "take") (param "xs" (list u8))
      (canon lift (core func $m "take") (memory (core memory $libc "mem")) (realloc (core func $m "realloc"))))
    (func (export "blocks") async
      (canon lift (core func $m "blocks") async (callback (core func $m "callback")))))
  (instance $callee (instantiate $Callee))
  (core module $Libc
    (memory (export "mem") 1)
    (table (export "table") 1 funcref)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "dtor") (param i32)))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "mem" (core memory $mem))
  (alias core export $libc "realloc" (core func $realloc))
  (alias core export $libc "table" (core table $table))
  (type $bytes (stream u8))
  (type $word (future u32))
  (type $R (resource (rep i32)))
  (type $D (resource (rep i32) (dtor (core func $libc "dtor"))))
  (core type $start (func (param i32)))
  (core func $context.get (canon context.get i32 0))
  (core func $context.set (canon context.set i32 0))
  (core func $backpressure.inc (canon backpressure.inc))
  (core func $backpressure.dec (canon backpressure.dec))
  (core func $set.new (canon waitable-set.new))
  (core func $set.drop (canon waitable-set.drop))
  (core func $set.poll (canon waitable-set.poll (memory $mem)))
  (core func $join (canon waitable.join))
  (core func $resource.new (canon resource.new $R))
  (core func $resource.rep (canon resource.rep $R))
  (core func $resource.drop (canon resource.drop $R))
  (core func $dtor.new (canon resource.new $D))
  (core func $dtor.drop (canon resource.drop $D))
  (core func $stream.new (canon stream.new $bytes))
  (core func $stream.read (canon stream.read $bytes async (memory $mem)))
  (core func $stream.write (canon stream.write $bytes async (memory $mem)))
  (core func $stream.cancel-read (canon stream.cancel-read $bytes))
  (core func $stream.drop-readable (canon stream.drop-readable $bytes))
  (core func $stream.drop-writable (canon stream.drop-writable $bytes))
  (core func $future.new (canon future.new $word))
  (core func $future.read (canon future.read $word async (memory $mem)))
  (core func $future.write (canon future.write $word async (memory $mem)))
  (core func $future.drop-readable (canon future.drop-readable $word))
  (core func $future.drop-writable (canon future.drop-writable $word))
  (core func $error-context.new (canon error-context.new (memory $mem)))
  (core func $error-context.debug-message
    (canon error-context.debug-message (memory $mem) (realloc $realloc)))
  (core func $error-context.drop (canon error-context.drop))
  (core func $thread.index (canon thread.index))
  (core func $thread.yield (canon thread.yield))
  (core func $thread.new (canon thread.new-indirect $start (core table $table)))
  (core func $thread.yield-then-resume (canon thread.yield-then-resume))
  (core func $subtask.cancel (canon subtask.cancel))
  (core func $subtask.drop (canon subtask.drop))
  (core func $callee (canon lower (func $callee "unit")))
  (core func $callee-async (canon lower (func $callee "async") async))
  (core func $take (canon lower (func $callee "take") (memory $mem)))
  (core func $blocks (canon lower (func $callee "blocks") async))
  (core func $host (canon lower (func $host)))
  (core func $host-string (canon lower (func $host-string) (memory $mem)))
  (core module $M
    (import "libc" "table" (table $table 1 funcref))
    (import "" "context.get" (func $context.get (result i32)))
    (import "" "context.set" (func $context.set (param i32)))
    (import "" "backpressure.inc" (func $backpressure.inc))
    (import "" "backpressure.dec" (func $backpressure.dec))
    (import "" "set.new" (func $set.new (result i32)))
    (import "" "set.drop" (func $set.drop (param i32)))
    (import "" "set.poll" (func $set.poll (param i32 i32) (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "resource.new" (func $resource.new (param i32) (result i32)))
    (import "" "resource.rep" (func $resource.rep (param i32) (result i32)))
    (import "" "resource.drop" (func $resource.drop (param i32)))
    (import "" "dtor.new" (func $dtor.new (param i32) (result i32)))
    (import "" "dtor.drop" (func $dtor.drop (param i32)))
    (import "" "stream.new" (func $stream.new (result i64)))
    (import "" "stream.read" (func $stream.read (param i32 i32 i32) (result i32)))
    (import "" "stream.write" (func $stream.write (param i32 i32 i32) (result i32)))
    (import "" "stream.cancel-read" (func $stream.cancel-read (param i32) (result i32)))
    (import "" "stream.drop-readable" (func $stream.drop-readable (param i32)))
    (import "" "stream.drop-writable" (func $stream.drop-writable (param i32)))
    (import "" "future.new" (func $future.new (result i64)))
    (import "" "future.read" (func $future.read (param i32 i32) (result i32)))
    (import "" "future.write" (func $future.write (param i32 i32) (result i32)))
    (import "" "future.drop-readable" (func $future.drop-readable (param i32)))
    (import "" "future.drop-writable" (func $future.drop-writable (param i32)))
    (import "" "error-context.new" (func $error-context.new (param i32 i32) (result i32)))
    (import "" "error-context.debug-message" (func $error-context.debug-message (param i32 i32)))
    (import "" "error-context.drop" (func $error-context.drop (param i32)))
    (import "" "thread.index" (func $thread.index (result i32)))
    (import "" "thread.yield" (func $thread.yield (result i32)))
    (import "" "thread.new" (func $thread.new (param i32 i32) (result i32)))
    (import "" "thread.yield-then-resume" (func $thread.yield-then-resume (param i32) (result i32)))
    (import "" "subtask.cancel" (func $subtask.cancel (param i32) (result i32)))
    (import "" "subtask.drop" (func $subtask.drop (param i32)))
    (import "" "callee" (func $callee))
    (import "" "callee-async" (func $callee-async (result i32)))
    (import "" "take" (func $take (param i32 i32)))
    (import "" "blocks" (func $blocks (result i32)))
    (import "" "host" (func $host))
    (import "" "host-string" (func $host-string (param i32 i32)))
    (elem (table $table) (i32.const 0) func $thread)
    (func $thread (param i32))
    (func $tail-callee (return_call $callee))
    (func $tail-host (return_call $host))
    (global $set (mut i32) (i32.const 0))
    (global $writers (mut i32) (i32.const 0))
    (global $end (mut i32) (i32.const 0))
    (global $writer (mut i32) (i32.const 0))
    (global $resource (mut i32) (i32.const 0))
    (global $error (mut i32) (i32.const 0))
    (func (export "set-up") (local $pair i64)
      (global.set $set (call $set.new))
      (global.set $writers (call $set.new))
      (local.set $pair (call $stream.new))
      (global.set $end (i32.wrap_i64 (local.get $pair)))
      (global.set $writer (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (call $join (global.get $writer) (global.get $writers))
      (global.set $resource (call $resource.new (i32.const 42)))
      (global.set $error (call $error-context.new (i32.const 0) (i32.const 8))))
    {loops})
  (core instance $m (instantiate $M (with "libc" (instance $libc)) (with "" (instance
    {exports}))))
  (func (export "set-up") (canon lift (core func $m "set-up")))
  {lifts})"#,
        exports =
            EXPORTS.iter().map(|name| format!("(export \"{name}\" (func ${name}))")).collect::<String>(),
    )
}

/// The built-ins that the module of [`builtins`] imports.
const EXPORTS: &[&str] = &[
    "context.get",
    "context.set",
    "backpressure.inc",
    "backpressure.dec",
    "set.new",
    "set.drop",
    "set.poll",
    "join",
    "resource.new",
    "resource.rep",
    "resource.drop",
    "dtor.new",
    "dtor.drop",
    "stream.new",
    "stream.read",
    "stream.write",
    "stream.cancel-read",
    "stream.drop-readable",
    "stream.drop-writable",
    "future.new",
    "future.read",
    "future.write",
    "future.drop-readable",
    "future.drop-writable",
    "error-context.new",
    "error-context.debug-message",
    "error-context.drop",
    "thread.index",
    "thread.yield",
    "thread.new",
    "thread.yield-then-resume",
    "subtask.cancel",
    "subtask.drop",
    "callee",
    "callee-async",
    "take",
    "blocks",
    "host",
    "host-string",
];
