//! Threads that switch to each other, and the native stack.

mod common;

use std::sync::Mutex;

use canon_async_wasmi::{Linker, Store, Val};
use common::{assert_idle, call_u32, component, engine};

const HANDOFF: &str = r#"(component
  (import "probe" (func $probe))
  (core func $probe' (canon lower (func $probe)))
  (core module $Libc (table (export "tbl") 1 funcref))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "tbl" (core table $tbl))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $tbl)))
  (core func $index (canon thread.index))
  (core func $wake (canon thread.resume-later))
  (core func $switch (canon thread.suspend-then-resume))
  (core module $M
    (import "libc" "tbl" (table $tbl 1 funcref))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "index" (func $index (result i32)))
    (import "" "wake" (func $wake (param i32)))
    (import "" "switch" (func $switch (param i32) (result i32)))
    (import "" "probe" (func $probe))
    (global $stop (mut i32) (i32.const 0))
    (global $main (mut i32) (i32.const 0))
    (global $count (mut i32) (i32.const 0))
    (elem (table $tbl) (i32.const 0) func $partner)
    (func $partner (param i32)
      (block $done
        (loop $next
          (br_if $done (global.get $stop))
          (global.set $count (i32.add (global.get $count) (i32.const 1)))
          (drop (call $switch (global.get $main)))
          (br $next)))
      (call $wake (global.get $main)))
    (func (export "run") (param $n i32) (result i32)
      (local $i i32) (local $other i32)
      (global.set $main (call $index))
      (local.set $other (call $new (i32.const 0) (i32.const 0)))
      (block $done
        (loop $next
          (br_if $done (i32.eq (local.get $i) (local.get $n)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (drop (call $switch (local.get $other)))
          (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 1000))) (then (call $probe)))
          (br $next)))
      (global.set $stop (i32.const 1))
      (drop (call $switch (local.get $other)))
      (global.get $count)))
  (core instance $m (instantiate $M
    (with "libc" (instance $libc))
    (with "" (instance
      (export "new" (func $new)) (export "index" (func $index)) (export "wake" (func $wake))
      (export "switch" (func $switch)) (export "probe" (func $probe'))))))
  (func (export "run") async (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;

#[test]
fn a_million_hand_offs_take_no_native_stack() {
    static SEEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let engine = engine();
    let component = component(&engine, HANDOFF);
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func("probe", |_, _| {
        let here = 0u8;
        SEEN.lock().unwrap().push(&raw const here as usize);
        Ok(None)
    });
    let instance = linker.instantiate(&mut store, &component).unwrap();
    // Each round goes there and back.
    assert_eq!(call_u32(&mut store, &instance, "run", &[500_000]).unwrap(), 500_000);
    let seen = SEEN.lock().unwrap();
    assert_eq!(seen.len(), 500);
    let (low, high) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
    assert!(high - low < 16 << 10, "the native stack moved by {} bytes", high - low);
    assert_idle(&store);
}

#[test]
fn a_thread_needs_a_function_of_its_type() {
    let engine = engine();
    let wat = r#"(component
  (core module $Libc (table (export "tbl") 3 funcref) (func $f (result i32) (i32.const 1))
    (elem (i32.const 1) func $f))
  (core instance $libc (instantiate $Libc))
  (alias core export $libc "tbl" (core table $tbl))
  (core type $start (func (param i32)))
  (core func $new (canon thread.new-indirect $start (core table $tbl)))
  (core module $M
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $new (local.get 0) (i32.const 0))))
  (core instance $m (instantiate $M (with "" (instance (export "new" (func $new))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))"#;
    let component = component(&engine, wat);
    for (index, trap) in [
        (0, canon_async::Trap::UnknownTableElement(0)),
        (1, canon_async::Trap::ThreadFuncType(1)),
        (3, canon_async::Trap::UnknownTableElement(3)),
    ] {
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let run = instance.func(&store, "run").unwrap();
        let error = run.call(&mut store, &[Val::U32(index)]).unwrap_err();
        assert_eq!(error.core(), Some(trap.into()));
    }
}
