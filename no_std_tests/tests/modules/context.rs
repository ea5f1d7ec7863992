//! Contexts. The same tests on every tier.

use crate::common::fresh;
use alloc::format;
use canon_async::ambient::{self, Limits};
use canon_async::prelude::*;
use canon_async::{Resource, run};

fn set(key: &str, value: i32) -> Result<Option<ContextValue>, Error> {
    AsyncContextManager::set_context_value(ContextKey::new(key), value.into())
}

fn get(key: &str) -> Option<i32> {
    let value = AsyncContextManager::get_context_value(&ContextKey::new(key)).expect("not in use");
    value.map(|value| value.get().expect("an s32"))
}

fn context_values_are_typed() -> Result<(), Error> {
    let _one = fresh();
    let key = || ContextKey::new("op");
    let text = ComponentValue::String("op_123".to_string());
    assert_eq!(
        AsyncContextManager::set_context_value(key(), ContextValue::from_component_value(text))?,
        None
    );
    let value = AsyncContextManager::get_context_value(&key())?.expect("it was set");
    assert_eq!(value.as_component_value().as_str(), Some("op_123"));
    assert!(matches!(value.get::<i32>(), Err(Error::Misuse(_))));
    let old = AsyncContextManager::set_context_value(key(), true.into())?;
    assert_eq!(old, Some(value));
    assert_eq!(AsyncContextManager::get_context_value(&key())?.expect("it was set").get(), Ok(true));
    assert_eq!(AsyncContextManager::remove_context_value(&key())?, Some(true.into()));
    assert_eq!(AsyncContextManager::remove_context_value(&key())?, None);
    assert_eq!(AsyncContextManager::get_context_value(&key())?, None);
    Ok(())
}

fn scopes_restore_exactly_what_they_found() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    {
        let _outer = AsyncContextScope::enter_inherited()?;
        assert_eq!(get("a"), Some(1));
        set("a", 2)?;
        set("b", 3)?;
        {
            let _inner = AsyncContextScope::enter_empty()?;
            assert_eq!((get("a"), get("b")), (None, None));
            set("a", 4)?;
            // What is set in the place of the context is undone too.
            AsyncContextManager::context_set(AsyncContext::new())?;
        }
        assert_eq!((get("a"), get("b")), (Some(2), Some(3)));
        AsyncContextManager::remove_context_value(&ContextKey::new("a"))?;
        assert_eq!(get("a"), None);
    }
    assert_eq!((get("a"), get("b")), (Some(1), None));
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn scope_is_left_when_a_panic_unwinds() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    let caught = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        let _outer = AsyncContextScope::enter_inherited().expect("room");
        set("a", 2).expect("room");
        let _inner = AsyncContextScope::enter_empty().expect("room");
        set("b", 3).expect("room");
        panic!("a test's");
    }));
    assert!(caught.is_err());
    assert_eq!((get("a"), get("b")), (Some(1), None));
    Ok(())
}

fn scope_dropped_before_the_ones_inside_ends_with_them() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    let outer = AsyncContextScope::enter_empty()?;
    set("a", 2)?;
    let middle = AsyncContextScope::enter_empty()?;
    set("a", 3)?;
    let inner = AsyncContextScope::enter_empty()?;
    set("a", 4)?;
    drop(middle);
    assert_eq!(get("a"), Some(4));
    drop(inner);
    assert_eq!(get("a"), Some(2));
    outer.leave().map_err(|(_, error)| error)?;
    assert_eq!(get("a"), Some(1));
    Ok(())
}

fn snapshot_is_copied_when_either_is_changed() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    let key = ContextKey::new("a");
    let mut snapshot = AsyncContextManager::context_get()?;
    set("a", 2)?;
    assert_eq!(snapshot.get(&key)?, Some(1.into()));
    let other = snapshot.snapshot()?;
    assert_eq!(snapshot.set(key.clone(), 5.into())?, Some(1.into()));
    assert_eq!(other.get(&key)?, Some(1.into()));
    assert_eq!(get("a"), Some(2));
    {
        let _scope = AsyncContextScope::enter(snapshot)?;
        assert_eq!(get("a"), Some(5));
    }
    assert_eq!(get("a"), Some(2));
    assert_eq!((other.len()?, AsyncContext::new().is_empty()?), (1, true));
    Ok(())
}

fn context_set_gives_back_the_one_before() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    let mut next = AsyncContext::new();
    next.set(ContextKey::new("b"), 2.into())?;
    let before = AsyncContextManager::context_set(next)?;
    assert_eq!((get("a"), get("b")), (None, Some(2)));
    AsyncContextManager::context_set(before)?;
    assert_eq!((get("a"), get("b")), (Some(1), None));
    Ok(())
}

fn contexts_are_used_while_the_store_is_driven() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    ambient::drive(|e| {
        let _scope = AsyncContextScope::enter_inherited()?;
        assert_eq!(get("a"), Some(1));
        set("a", 2)?;
        run::tick(e)
    })??;
    assert_eq!(get("a"), Some(1));
    Ok(())
}

fn context_values_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    let most = Limits::DEFAULT.context_values;
    for limit in [0, 1, 2, most] {
        let limit = limit.min(most);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_context_values(limit))?;
        for index in 0..limit as i32 {
            set(&format!("k{index}"), index)?;
        }
        for _ in 0..2 {
            assert_eq!(set("one more", 1), Err(Error::capacity(Resource::ContextValues)));
            // As it was: no value more, none fewer, and what is there can be changed.
            assert_eq!(get("one more"), None);
            assert_eq!(AsyncContextManager::context_get()?.len()?, limit as usize);
        }
        if limit > 0 {
            set("k0", 50)?;
            // A copy has no room: the snapshot and the current context stay what they are.
            let snapshot = AsyncContextManager::context_get()?;
            assert_eq!(set("k0", 60), Err(Error::capacity(Resource::ContextValues)));
            assert_eq!(get("k0"), Some(50));
            drop(snapshot);
            set("k0", 60)?;
            AsyncContextManager::remove_context_value(&ContextKey::new("k0"))?;
            set("one more", 1)?;
        }
    }
    Ok(())
}

fn contexts_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, 2] {
        let limit = Limits::DEFAULT.contexts.min(limit);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_contexts(limit))?;
        let mut kept = alloc::vec::Vec::new();
        for index in 0..limit as i32 {
            let mut context = AsyncContext::new();
            context.set(ContextKey::new("a"), index.into())?;
            kept.push(context);
        }
        assert_eq!(set("a", 9), Err(Error::capacity(Resource::Contexts)));
        assert_eq!(get("a"), None);
        // What was dropped makes room, also of values.
        if kept.pop().is_some() {
            set("a", 9)?;
            assert_eq!(get("a"), Some(9));
        }
    }
    Ok(())
}

fn context_scopes_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.context_scopes] {
        let limit = Limits::DEFAULT.context_scopes.min(limit);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_context_scopes(limit))?;
        set("a", 1)?;
        for _ in 0..2 {
            let mut scopes = alloc::vec::Vec::new();
            for _ in 0..limit {
                scopes.push(AsyncContextScope::enter_inherited()?);
            }
            let full = AsyncContextScope::enter_empty().map(drop);
            assert_eq!(full, Err(Error::capacity(Resource::ContextScopes)));
            assert_eq!(get("a"), Some(1));
            // From the outermost to the innermost, which ends them all.
            drop(scopes);
        }
        assert_eq!(get("a"), Some(1));
        assert_eq!(set("a", 2)?, Some(1.into()));
    }
    Ok(())
}

fn context_of_a_scope_that_has_no_room_is_dropped() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits::DEFAULT.with_context_scopes(0).with_contexts(1))?;
    for index in 0..3 {
        let mut context = AsyncContext::new();
        context.set(ContextKey::new("a"), index.into())?;
        let full = AsyncContextScope::enter(context).map(drop);
        assert_eq!(full, Err(Error::capacity(Resource::ContextScopes)));
    }
    Ok(())
}

fn context_text_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, Limits::DEFAULT.text_bytes] {
        let limit = Limits::DEFAULT.text_bytes.min(limit);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_text_bytes(limit))?;
        let (fits, long) = ("x".repeat(limit as usize), "x".repeat(limit as usize + 1));
        let too_long = Err(Error::capacity(Resource::TextBytes));
        set(&fits, 1)?;
        assert_eq!(set(&long, 1), too_long);
        // A text that knows that it was too long, too.
        let long_key = ContextKey::new(long.as_str().to_string());
        assert_eq!(AsyncContextManager::get_context_value(&long_key), too_long);
        assert_eq!(AsyncContextManager::set_context_value(long_key, 1.into()), too_long);
        let value = ContextValue::from(long.as_str());
        assert_eq!(AsyncContextManager::set_context_value(ContextKey::new(&fits), value), too_long);
        assert_eq!(get(&fits), Some(1));
        AsyncContextManager::set_context_value(ContextKey::new(&fits), fits.as_str().into())?;
    }
    Ok(())
}

fn what_is_older_than_a_reset_holds_nothing() -> Result<(), Error> {
    let _one = fresh();
    let scope = AsyncContextScope::enter_empty()?;
    set("a", 1)?;
    let mut old = AsyncContextManager::context_get()?;
    ambient::reset()?;
    set("a", 2)?;
    let _new = AsyncContextScope::enter_empty()?;
    set("a", 3)?;
    drop(scope);
    assert_eq!(get("a"), Some(3));
    assert!(old.is_empty()?);
    old.set(ContextKey::new("b"), 4.into())?;
    assert_eq!((old.len()?, get("a")), (1, Some(3)));
    Ok(())
}

#[cfg(feature = "std")]
fn contexts_of_another_thread_are_its_own() -> Result<(), Error> {
    let _one = fresh();
    set("a", 1)?;
    std::thread::spawn(|| {
        assert_eq!(get("a"), None);
        set("a", 2).expect("room");
        assert_eq!(get("a"), Some(2));
    })
    .join()
    .expect("no panic");
    assert_eq!(get("a"), Some(1));
    Ok(())
}

tests! {
    context_values_are_typed,
    scopes_restore_exactly_what_they_found,
    scope_is_left_when_a_panic_unwinds [unwinding],
    scope_dropped_before_the_ones_inside_ends_with_them,
    snapshot_is_copied_when_either_is_changed,
    context_set_gives_back_the_one_before,
    contexts_are_used_while_the_store_is_driven,
    context_values_capacity_at_every_edge,
    contexts_capacity_at_every_edge,
    context_scopes_capacity_at_every_edge,
    context_of_a_scope_that_has_no_room_is_dropped,
    context_text_capacity_at_every_edge,
    what_is_older_than_a_reset_holds_nothing,
    contexts_of_another_thread_are_its_own [std],
}
