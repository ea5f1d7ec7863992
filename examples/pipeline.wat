;; A pipeline of three components, joined by streams.
;;
;;     $Source  --- stream<u8> --->  $Rot13  --- stream<u8> --->  $Sink
;;     sends a text in small         turns each letter by        collects the bytes and
;;     chunks                        13, as they flow            answers `run`
;;
;; Run it:   cargo canon run examples/pipeline.wat
;;
;; What there is to know first
;;
;; A component shares no memory with another. What passes between them is *values*, and the canonical
;; built-ins (`canon ...` below) are how core wasm code makes, sends and receives them. A `stream<u8>` is a
;; value too: it has a *readable end* and a *writable end*, each of which is a handle, a small number in the table of
;; the component that holds it. Passing the readable end to somebody hands it over.
;;
;; No byte is buffered between the ends. A write and a read *meet*: whoever comes first leaves
;; the address and length of their buffer and is told BLOCKED (-1); when the other one comes, the bytes go
;; straight from memory to memory, and the first is told by an *event*. Every `stream.read` and `stream.write`
;; that does not block answers at once with a number that holds two things:
;;
;;     bits 0..3    how it ended: 0 COMPLETED, 1 DROPPED (the other end is gone), 2 CANCELLED
;;     bits 4..31   how many elements were copied; it may be fewer than were offered
;;
;; An event carries the same number as its payload. To get events, a component puts its ends (and other
;; *waitables*) into a *waitable set*, and waits for the set. There are two ways to wait, and this example
;; shows both:
;;
;;   - $Source and $Rot13 are written with a *callback*: the core function *returns* "I wait for this set", with
;;     nothing left on its stack, and its callback is called with the event. It is a state machine.
;;   - $Sink is written as straight code: it calls `waitable-set.wait`, which returns when there is an event. Its
;;     stack is kept meanwhile.
(component $pipeline

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Source: `bytes: async func() -> stream<u8>`
  ;; ------------------------------------------------------------------------------------------------------
  (component $Source
    (type $bytes (stream u8))

    ;; The memory is a core module of its own: the built-ins below need it before $Main exists, and $Main
    ;; needs the built-ins.
    (core module $Memory
      (memory (export "mem") 1)
      ;; 84 bytes. They read badly, for now.
      (data (i32.const 0x100)
        "Fgernzf pneel inyhrf juvyr obgu raqf ner fgvyy ehaavat; abobql unf gb ubyq gurz nyy."))
    (core instance $memory (instantiate $Memory))

    ;; The built-ins that this component uses, as core functions.
    (canon task.return (result $bytes) (core func $task.return))
    (canon stream.new $bytes (core func $stream.new))
    ;; `async`: answer BLOCKED rather than wait.
    (canon stream.write $bytes async (memory (core memory $memory "mem")) (core func $stream.write))
    (canon stream.drop-writable $bytes (core func $stream.drop-writable))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.drop (core func $waitable-set.drop))
    (canon waitable.join (core func $waitable.join))

    (core module $Main
      (import "canon" "task.return" (func $task.return (param i32)))
      (import "canon" "stream.new" (func $stream.new (result i64)))
      (import "canon" "stream.write" (func $stream.write (param $end i32) (param $ptr i32) (param $len i32) (result i32)))
      (import "canon" "stream.drop-writable" (func $stream.drop-writable (param i32)))
      (import "canon" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "canon" "waitable-set.drop" (func $waitable-set.drop (param i32)))
      (import "canon" "waitable.join" (func $waitable.join (param $waitable i32) (param $set i32)))

      ;; What has to survive while we wait. One call at a time: a component that serves many calls at once
      ;; would keep this in memory, once for each, and find it again with `context.get`.
      (global $out (mut i32) (i32.const 0))          ;; the writable end
      (global $set (mut i32) (i32.const 0))          ;; the waitable set
      (global $at (mut i32) (i32.const 0x100))       ;; the next byte to send
      (global $end i32 (i32.const 0x154))            ;; one past the last: 0x100 + 84
      (global $chunk i32 (i32.const 16))             ;; at most so many at once

      ;; The core function of `bytes`. Lifted with a callback, it returns a number that says how to go on:
      ;;     0 EXIT: done    1 YIELD: call me again soon    2 WAIT: .. when the set in bits 4..31 has an event
      (func (export "bytes") (result i32)
        (local $ends i64)
        ;; stream.new gives both ends at once: the readable one in the low half, the writable one in the high half.
        (local.set $ends (call $stream.new))
        (global.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (global.set $set (call $waitable-set.new))
        (call $waitable.join (global.get $out) (global.get $set))
        ;; `task.return` gives the caller its result. The *task* goes on: an async function may work on after
        ;; it has answered, and this one has everything still to do.
        (call $task.return (i32.wrap_i64 (local.get $ends)))
        (call $pump))

      ;; The callback: called with each event of the set. There is one waitable in it, so we know which.
      (func (export "bytes-callback") (param $event i32) (param $waitable i32) (param $payload i32) (result i32)
        (if (i32.ne (local.get $event) (i32.const 3 (; STREAM_WRITE ;))) (then unreachable))
        (call $sent (local.get $payload))
        (call $pump))

      ;; Writes until a write blocks, or until there is nothing left.
      (func $pump (result i32)
        (local $result i32)
        (loop $more
          (if (i32.lt_u (global.get $at) (global.get $end))
            (then
              (local.set $result
                (call $stream.write (global.get $out) (global.get $at) (call $next-length)))
              ;; Nobody is reading yet. The bytes from $at stay lent to the stream until the event
              ;; comes: we must not change them.
              (if (i32.eq (local.get $result) (i32.const -1 (; BLOCKED ;)))
                (then (return (i32.or (i32.const 2 (; WAIT ;)) (i32.shl (global.get $set) (i32.const 4))))))
              (call $sent (local.get $result))
              (br $more))))
        ;; Dropping the writable end is how a stream ends: the reader is told DROPPED.
        (call $stream.drop-writable (global.get $out))
        (call $waitable-set.drop (global.get $set))
        (i32.const 0 (; EXIT ;)))

      ;; min($chunk, what is left)
      (func $next-length (result i32)
        (local $left i32)
        (local.set $left (i32.sub (global.get $end) (global.get $at)))
        (select (local.get $left) (global.get $chunk)
          (i32.lt_u (local.get $left) (global.get $chunk))))

      ;; Takes note of a finished write.
      (func $sent (param $result i32)
        (global.set $at (i32.add (global.get $at) (i32.shr_u (local.get $result) (i32.const 4))))
        ;; The reader is gone: there is no use in sending the rest.
        (if (i32.eq (i32.and (local.get $result) (i32.const 0xf)) (i32.const 1 (; DROPPED ;)))
          (then (global.set $at (global.get $end))))))

    (core instance $main (instantiate $Main (with "canon" (instance
      (export "task.return" (func $task.return))
      (export "stream.new" (func $stream.new))
      (export "stream.write" (func $stream.write))
      (export "stream.drop-writable" (func $stream.drop-writable))
      (export "waitable-set.new" (func $waitable-set.new))
      (export "waitable-set.drop" (func $waitable-set.drop))
      (export "waitable.join" (func $waitable.join))))))

    ;; `canon lift` makes a component function of a core function: `async` with a callback.
    (func (export "bytes") async (result $bytes)
      (canon lift (core func $main "bytes") async (callback (core func $main "bytes-callback")))))

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Rot13: imports `upstream: async func() -> stream<u8>`, exports `bytes` of the same type
  ;;
  ;; It reads at most 10 bytes, turns them, writes them on, and only then reads again, so it never holds
  ;; more than 10, however long the stream is. A slow reader slows it down, and through it the source: that is
  ;; backpressure, and nobody had to write it.
  ;; ------------------------------------------------------------------------------------------------------
  (component $Rot13
    (type $bytes (stream u8))
    (import "upstream" (func $upstream async (result $bytes)))

    (core module $Memory (memory (export "mem") 1))
    (core instance $memory (instantiate $Memory))

    ;; `canon lower` makes a core function of a component function. Without `async` it is an ordinary call, which returns
    ;; when the callee has answered; cancel.wat shows the other way.
    (canon lower (func $upstream) (core func $upstream'))
    (canon task.return (result $bytes) (core func $task.return))
    (canon stream.new $bytes (core func $stream.new))
    (canon stream.read $bytes async (memory (core memory $memory "mem")) (core func $stream.read))
    (canon stream.write $bytes async (memory (core memory $memory "mem")) (core func $stream.write))
    (canon stream.drop-readable $bytes (core func $stream.drop-readable))
    (canon stream.drop-writable $bytes (core func $stream.drop-writable))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.drop (core func $waitable-set.drop))
    (canon waitable.join (core func $waitable.join))

    (core module $Main
      (import "libc" "mem" (memory 1))
      (import "canon" "upstream" (func $upstream (result i32)))
      (import "canon" "task.return" (func $task.return (param i32)))
      (import "canon" "stream.new" (func $stream.new (result i64)))
      (import "canon" "stream.read" (func $stream.read (param $end i32) (param $ptr i32) (param $len i32) (result i32)))
      (import "canon" "stream.write" (func $stream.write (param $end i32) (param $ptr i32) (param $len i32) (result i32)))
      (import "canon" "stream.drop-readable" (func $stream.drop-readable (param i32)))
      (import "canon" "stream.drop-writable" (func $stream.drop-writable (param i32)))
      (import "canon" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "canon" "waitable-set.drop" (func $waitable-set.drop (param i32)))
      (import "canon" "waitable.join" (func $waitable.join (param $waitable i32) (param $set i32)))

      (global $in (mut i32) (i32.const 0))           ;; the readable end that we were given
      (global $out (mut i32) (i32.const 0))          ;; the writable end of the stream that we made
      (global $set (mut i32) (i32.const 0))          ;; both are in this set
      (global $buffer i32 (i32.const 0x100))
      (global $room i32 (i32.const 10))              ;; the buffer's size
      (global $have (mut i32) (i32.const 0))         ;; bytes in the buffer
      (global $sent (mut i32) (i32.const 0))         ;; of those, how many are written
      (global $done (mut i32) (i32.const 0))         ;; 1 when no more will come, or nobody wants more

      (func (export "bytes") (result i32)
        (local $ends i64)
        (global.set $in (call $upstream))
        (local.set $ends (call $stream.new))
        (global.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (global.set $set (call $waitable-set.new))
        (call $waitable.join (global.get $in) (global.get $set))
        (call $waitable.join (global.get $out) (global.get $set))
        (call $task.return (i32.wrap_i64 (local.get $ends)))
        (call $pump))

      (func (export "bytes-callback") (param $event i32) (param $waitable i32) (param $payload i32) (result i32)
        ;; Two ends, but only one of them is ever busy. The event says which.
        (if (i32.eq (local.get $event) (i32.const 2 (; STREAM_READ ;)))
          (then (call $did-read (local.get $payload)))
          (else
            (if (i32.ne (local.get $event) (i32.const 3 (; STREAM_WRITE ;))) (then unreachable))
            (call $did-write (local.get $payload))))
        (call $pump))

      ;; Writes what there is, then reads, in turn, until one of them blocks.
      (func $pump (result i32)
        (local $result i32)
        (loop $more
          (if (i32.lt_u (global.get $sent) (global.get $have))
            (then
              (local.set $result (call $stream.write (global.get $out)
                (i32.add (global.get $buffer) (global.get $sent))
                (i32.sub (global.get $have) (global.get $sent))))
              (if (i32.eq (local.get $result) (i32.const -1 (; BLOCKED ;))) (then (return (call $wait))))
              (call $did-write (local.get $result))
              (br $more)))
          (if (i32.eqz (global.get $done))
            (then
              (local.set $result (call $stream.read (global.get $in) (global.get $buffer) (global.get $room)))
              (if (i32.eq (local.get $result) (i32.const -1 (; BLOCKED ;))) (then (return (call $wait))))
              (call $did-read (local.get $result))
              (br $more))))
        (call $stream.drop-readable (global.get $in))
        (call $stream.drop-writable (global.get $out))
        (call $waitable-set.drop (global.get $set))
        (i32.const 0 (; EXIT ;)))

      (func $wait (result i32)
        (i32.or (i32.const 2 (; WAIT ;)) (i32.shl (global.get $set) (i32.const 4))))

      (func $did-read (param $result i32)
        (local $at i32) (local $stop i32)
        (global.set $sent (i32.const 0))
        (global.set $have (i32.shr_u (local.get $result) (i32.const 4)))
        (if (i32.eq (i32.and (local.get $result) (i32.const 0xf)) (i32.const 1 (; DROPPED ;)))
          (then (global.set $done (i32.const 1))))
        ;; Turn what came, where it lies.
        (local.set $at (global.get $buffer))
        (local.set $stop (i32.add (local.get $at) (global.get $have)))
        (loop $next
          (if (i32.lt_u (local.get $at) (local.get $stop))
            (then
              (i32.store8 (local.get $at) (call $turn (i32.load8_u (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br $next)))))

      (func $did-write (param $result i32)
        (global.set $sent (i32.add (global.get $sent) (i32.shr_u (local.get $result) (i32.const 4))))
        (if (i32.eq (i32.and (local.get $result) (i32.const 0xf)) (i32.const 1 (; DROPPED ;)))
          (then
            (global.set $sent (global.get $have))
            (global.set $done (i32.const 1)))))

      ;; rot13: a letter becomes the one 13 places on, round and round; twice is no change.
      (func $turn (param $byte i32) (result i32)
        (local $letter i32)
        ;; 0..25 for a letter, whatever its case
        (local.set $letter (i32.sub (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x61 (; a ;))))
        (if (i32.ge_u (local.get $letter) (i32.const 26)) (then (return (local.get $byte))))
        (i32.add (local.get $byte)
          (select (i32.const 13) (i32.const -13) (i32.lt_u (local.get $letter) (i32.const 13))))))

    (core instance $main (instantiate $Main
      (with "libc" (instance $memory))
      (with "canon" (instance
        (export "upstream" (func $upstream'))
        (export "task.return" (func $task.return))
        (export "stream.new" (func $stream.new))
        (export "stream.read" (func $stream.read))
        (export "stream.write" (func $stream.write))
        (export "stream.drop-readable" (func $stream.drop-readable))
        (export "stream.drop-writable" (func $stream.drop-writable))
        (export "waitable-set.new" (func $waitable-set.new))
        (export "waitable-set.drop" (func $waitable-set.drop))
        (export "waitable.join" (func $waitable.join))))))

    (func (export "bytes") async (result $bytes)
      (canon lift (core func $main "bytes") async (callback (core func $main "bytes-callback")))))

  ;; ------------------------------------------------------------------------------------------------------
  ;; $Sink: imports `upstream`, exports `run: async func() -> report`
  ;; ------------------------------------------------------------------------------------------------------
  (component $Sink
    (type $bytes (stream u8))
    (import "upstream" (func $upstream async (result $bytes)))

    (type $report' (record
      (field "text" string)                          ;; what came
      (field "reads" u32)                            ;; in how many reads
      (field "waits" u32)))                          ;; how many of those had to wait
    (export $report "report" (type $report'))

    (core module $Memory (memory (export "mem") 1))
    (core instance $memory (instantiate $Memory))

    (canon lower (func $upstream) (core func $upstream'))
    (canon stream.read $bytes async (memory (core memory $memory "mem")) (core func $stream.read))
    (canon stream.drop-readable $bytes (core func $stream.drop-readable))
    (canon waitable-set.new (core func $waitable-set.new))
    (canon waitable-set.wait (memory (core memory $memory "mem")) (core func $waitable-set.wait))
    (canon waitable-set.drop (core func $waitable-set.drop))
    (canon waitable.join (core func $waitable.join))

    (core module $Main
      (import "libc" "mem" (memory 1))
      (import "canon" "upstream" (func $upstream (result i32)))
      (import "canon" "stream.read" (func $stream.read (param $end i32) (param $ptr i32) (param $len i32) (result i32)))
      (import "canon" "stream.drop-readable" (func $stream.drop-readable (param i32)))
      (import "canon" "waitable-set.new" (func $waitable-set.new (result i32)))
      (import "canon" "waitable-set.wait" (func $waitable-set.wait (param $set i32) (param $event i32) (result i32)))
      (import "canon" "waitable-set.drop" (func $waitable-set.drop (param i32)))
      (import "canon" "waitable.join" (func $waitable.join (param $waitable i32) (param $set i32)))

      ;; Memory:  0x00  the event that waitable-set.wait writes: the waitable, the payload
      ;;          0x10  the report: the text's address and length, reads, waits
      ;;          0x100 the text, to 0x10000, the end of the page
      (func (export "run") (result i32)
        (local $in i32) (local $set i32) (local $at i32) (local $result i32) (local $reads i32) (local $waits i32)
        (local.set $at (i32.const 0x100))
        (local.set $in (call $upstream))
        (local.set $set (call $waitable-set.new))
        (call $waitable.join (local.get $in) (local.get $set))

        (loop $more
          (local.set $reads (i32.add (local.get $reads) (i32.const 1)))
          (local.set $result (call $stream.read (local.get $in) (local.get $at) (i32.const 12)))
          (if (i32.eq (local.get $result) (i32.const -1 (; BLOCKED ;)))
            (then
              (local.set $waits (i32.add (local.get $waits) (i32.const 1)))
              ;; Here this component stops, in the middle of its code, and the two others run on. It returns with
              ;; the event's code; the waitable and the payload are in memory.
              (if (i32.ne (call $waitable-set.wait (local.get $set) (i32.const 0x00)) (i32.const 2 (; STREAM_READ ;)))
                (then unreachable))
              (local.set $result (i32.load (i32.const 0x04)))))
          (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $result) (i32.const 4))))
          (br_if $more (i32.eqz (i32.and (local.get $result) (i32.const 0xf (; 0: COMPLETED ;))))))

        (call $stream.drop-readable (local.get $in))
        (call $waitable-set.drop (local.get $set))
        (i32.store (i32.const 0x10) (i32.const 0x100))
        (i32.store (i32.const 0x14) (i32.sub (local.get $at) (i32.const 0x100)))
        (i32.store (i32.const 0x18) (local.get $reads))
        (i32.store (i32.const 0x1c) (local.get $waits))
        (i32.const 0x10)))

    (core instance $main (instantiate $Main
      (with "libc" (instance $memory))
      (with "canon" (instance
        (export "upstream" (func $upstream'))
        (export "stream.read" (func $stream.read))
        (export "stream.drop-readable" (func $stream.drop-readable))
        (export "waitable-set.new" (func $waitable-set.new))
        (export "waitable-set.wait" (func $waitable-set.wait))
        (export "waitable-set.drop" (func $waitable-set.drop))
        (export "waitable.join" (func $waitable.join))))))

    ;; The *type* is async, so it may block; the *lift* is not: when the core function returns, that is the result. A
    ;; record is too large for one core result, so the function returns the address where it lies.
    (func (export "run") async (result $report)
      (canon lift (core func $main "run") (memory (core memory $memory "mem")))))

  ;; ------------------------------------------------------------------------------------------------------
  ;; Joined together. Each `with` gives an import what it asks for; a second $Rot13 would fit in between, and give the
  ;; text back as it was.
  ;; ------------------------------------------------------------------------------------------------------
  (instance $source (instantiate $Source))
  (instance $rot13 (instantiate $Rot13 (with "upstream" (func $source "bytes"))))
  (instance $sink (instantiate $Sink (with "upstream" (func $rot13 "bytes"))))

  (export $report "report" (type $sink "report"))
  ;; `run` is exported with its type, in which `report` is the name that the line above has just exported.
  (export "run" (func $sink "run") (func async (result $report)))
)
