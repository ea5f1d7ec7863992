//! The examples of the document that the host-facing modules come from, one test each, as they stand there: nothing is changed but the
//! imports, the function around them, and the assertions that say what each promises. The same tests on every tier.
//!
//! `std_tests/seed004.toml` numbers them, and has a digest of each one's text; its test fails where an example here is another.
#![allow(unused_variables, clippy::single_match, reason = "the examples stand as they are in the document")]

use crate::common::fresh;
use crate::common::script::is_idle;
use crate::common::tasks::{completed, take_log};
use crate::common::threads;
use alloc::format;
#[cfg(feature = "alloc")]
use alloc::vec;
use alloc::vec::Vec;
use canon_async::ambient;
use canon_async::prelude::*;
use canon_async::store::Counts;

/// Without a heap, what the document has as `vec![..]` is `[..].into()`.
#[cfg(not(feature = "alloc"))]
macro_rules! vec {
    ($($item:expr),*) => { [$($item),*].into() };
}

fn counts() -> Counts {
    ambient::core(|core| core.store.counts()).expect("not in use")
}

fn example_1_context_values_follow_their_scopes() -> Result<(), Error> {
    let _one = fresh();
    // Example 1.
    // Create and set a context
    let context = AsyncContext::new();
    AsyncContextManager::context_set(context)?;

    // Store values in context
    AsyncContextManager::set_context_value(
        ContextKey::new("user_id".to_string()),
        ContextValue::from_component_value(ComponentValue::I32(123)),
    )?;

    // Retrieve values
    let value = AsyncContextManager::get_context_value(&ContextKey::new("user_id"))?;

    // Use scoped contexts
    {
        let _scope = AsyncContextScope::enter_empty()?;
        // Context is automatically popped when scope ends
        assert_eq!(AsyncContextManager::get_context_value(&ContextKey::new("user_id"))?, None);
    }
    // End.
    assert_eq!(value, Some(ContextValue::from_component_value(ComponentValue::I32(123))));
    assert_eq!(AsyncContextManager::get_context_value(&ContextKey::new("user_id"))?, value);
    assert!(value.is_some_and(|value| value.get::<bool>().is_err() && value.get() == Ok(123)));
    Ok(())
}

fn example_2_task_returns_and_is_waited_for() -> Result<(), Error> {
    let _one = fresh();
    // Example 2.
    // Initialize task system
    TaskBuiltins::initialize()?;

    // Start a task
    let task_id = TaskBuiltins::task_start()?;
    assert_eq!(TaskBuiltins::task_state(task_id)?, TaskState::Running);

    // Set task metadata
    TaskBuiltins::set_task_metadata(task_id, "priority", ComponentValue::I32(5))?;

    // Return from task
    TaskBuiltins::task_return(task_id, TaskReturn::from_component_value(ComponentValue::Bool(true)))?;

    // Wait for completion
    let result = TaskBuiltins::task_wait(task_id)?;

    // Cancel a task
    TaskBuiltins::task_cancel(task_id)?;
    // End.
    assert_eq!(result.value(), Some(&ComponentValue::Bool(true)));
    assert_eq!(TaskBuiltins::get_task_metadata(task_id, "priority")?, Some(ComponentValue::I32(5)));
    // It had completed: to cancel it is fine, and changes nothing.
    assert_eq!(TaskBuiltins::task_state(task_id)?, TaskState::Completed);
    assert_eq!(TaskBuiltins::task_wait(task_id)?, result);
    assert!(is_idle()?);
    Ok(())
}

fn example_3_waitable_set_that_nothing_can_make_ready_says_so() -> Result<(), Error> {
    let _one = fresh();
    // Example 3.
    // Initialize waitable system
    WaitableSetBuiltins::initialize()?;

    // Create a waitable set
    let set_id = WaitableSetBuiltins::waitable_set_new()?;

    // Add waitables
    let future = Future { handle: FutureHandle::new(), state: FutureState::Pending };
    let waitable_id = WaitableSetBuiltins::waitable_set_add(set_id, Waitable::Future(future))?;
    assert_eq!(counts().streams, 1);

    // Wait for any to be ready
    let result = WaitableSetBuiltins::waitable_set_wait(set_id)?;
    assert_eq!(result, WaitResult::Deadlock);
    match result {
        WaitResult::Ready(entry) => { /* Handle ready waitable */ }
        WaitResult::Timeout => { /* No waitables ready */ }
        _ => { /* Handle other cases */ }
    }

    // Poll all ready waitables
    let ready_list = WaitableSetBuiltins::waitable_set_poll_all(set_id)?;
    // End.
    assert!(ready_list.is_empty());
    assert_eq!(WaitableSetBuiltins::waitable_set_len(set_id)?, 1);
    // The id is the future's, in this set.
    WaitableSetBuiltins::waitable_set_remove(set_id, waitable_id)?;
    assert_eq!(WaitableSetBuiltins::waitable_set_len(set_id)?, 0);
    Ok(())
}

/// The example again, with somebody who completes the future: the wait's other answer.
fn example_3_waitable_set_wait_answers_what_is_ready() -> Result<(), Error> {
    let _one = fresh();
    let set_id = WaitableSetBuiltins::waitable_set_new()?;
    let future = Future { handle: FutureHandle::new(), state: FutureState::Pending };
    let handle = future.handle;
    let waitable_id = WaitableSetBuiltins::waitable_set_add(set_id, Waitable::Future(future))?;
    handle.complete(ComponentValue::U32(7))?;
    let WaitResult::Ready(entry) = WaitableSetBuiltins::waitable_set_wait(set_id)? else { panic!() };
    let state = FutureState::Ready(Some(ComponentValue::U32(7)));
    assert_eq!(
        entry,
        WaitableEntry { id: waitable_id, waitable: Waitable::Future(Future { handle, state }) }
    );
    assert!(WaitableSetBuiltins::waitable_set_poll_all(set_id)?.is_empty());
    Ok(())
}

fn example_4_error_context_has_a_stack_trace() -> Result<(), Error> {
    let _one = fresh();
    // Example 4.
    // Initialize error system
    ErrorContextBuiltins::initialize()?;

    // Create error context
    let context_id = ErrorContextBuiltins::error_context_new(
        "Database connection failed".to_string(),
        ErrorSeverity::Error,
    )?;

    // Add stack frame
    ErrorContextBuiltins::error_context_add_stack_frame(
        context_id,
        "connect_to_db".to_string(),
        Some("database.rs".to_string()),
        Some(142),
        Some(15),
    )?;

    // Add metadata
    ErrorContextBuiltins::error_context_set_metadata(
        context_id,
        "database_url".to_string(),
        ComponentValue::String("postgres://localhost:5432".to_string()),
    )?;

    // Get formatted stack trace
    let stack_trace = ErrorContextBuiltins::error_context_stack_trace(context_id)?;
    // End.
    assert_eq!(
        format!("{stack_trace}"),
        "error: Database connection failed\n  database_url: postgres://localhost:5432\n   0: connect_to_db\n             at database.rs:142:15"
    );
    assert_eq!(ErrorContextBuiltins::error_context_severity(context_id)?, ErrorSeverity::Error);
    assert_eq!(counts().error_contexts, 1);
    Ok(())
}

fn example_5_thread_runs_and_is_joined_with_its_result() -> Result<(), Error> {
    let _one = threads::guests();
    // Example 5.
    // Initialize threading system
    AdvancedThreadingBuiltins::initialize()?;

    // Create function reference
    let func_ref = FunctionReference::new(
        "worker_function".to_string(),
        FunctionSignature { params: vec![ThreadValueType::I32], results: vec![ThreadValueType::I32] },
        0,  // module_index
        42, // function_index
    );

    // Configure thread
    let config = ThreadSpawnConfig { stack_size: Some(65536), priority: Some(5) };

    // Spawn with function reference
    let thread_id = AdvancedThreadingBuiltins::thread_spawn_ref(func_ref, config, None)?;
    assert_eq!(AdvancedThreadingBuiltins::thread_state(thread_id)?, TaskState::Pending);

    // Thread-local storage
    AdvancedThreadingBuiltins::thread_local_set(
        thread_id,
        1, // key
        ComponentValue::String("thread_data".to_string()),
        Some(100), // optional destructor function index
    )?;
    assert_eq!(AdvancedThreadingBuiltins::thread_local_get(thread_id, 1)?, Some("thread_data".into()));

    // Join thread
    let result = AdvancedThreadingBuiltins::thread_join(thread_id)?;
    // End.
    // The worker answers its argument, which is 0 where none is given, plus one.
    assert_eq!(result, completed(1));
    // It ran, and then its destructor, with the key: once.
    assert_eq!(take_log(), [0, 1100]);
    assert_eq!(AdvancedThreadingBuiltins::thread_join(thread_id)?, result);
    assert!(take_log().is_empty() && is_idle()?);
    Ok(())
}

fn example_6_fixed_length_list_takes_its_type_and_its_length() -> Result<(), Error> {
    let _one = fresh();
    // Example 6.
    // Create fixed-length list type
    let list_type = FixedLengthListType::new(ValueType::I32, 5);

    // Create list instance
    let mut list = FixedLengthList::new(list_type)?;

    // Add elements
    list.push(ComponentValue::I32(10))?;
    list.push(ComponentValue::I32(20))?;

    // Access elements
    let value = list.get(0); // Some(&ComponentValue::I32(10))
    assert_eq!(value, Some(&ComponentValue::I32(10)));

    // Use utility functions
    let zeros = fixed_list_utils::zero_filled(ValueType::I32, 10)?;
    let range = fixed_list_utils::from_range(0, 5)?;

    // Type registry
    let mut registry = FixedLengthListTypeRegistry::new();
    let type_index = registry.register_type(list_type)?;
    // End.
    assert_eq!((list.len(), list.get(1), list.get(2)), (2, Some(&ComponentValue::I32(20)), None));
    assert!(list.push(ComponentValue::Bool(true)).is_err());
    for item in 0..3 {
        list.push(ComponentValue::I32(item))?;
    }
    assert!(list.is_complete() && list.push(ComponentValue::I32(3)).is_err());
    assert_eq!((zeros.len(), zeros.iter().all(|zero| *zero == ComponentValue::I32(0))), (10, true));
    assert!((0..5).map(ComponentValue::I32).eq(range.iter().cloned()));
    assert_eq!(registry.get(type_index), Some(list_type));
    assert_eq!(registry.register_type(list_type)?, type_index);
    Ok(())
}

fn example_7_task_has_the_context_that_it_was_started_in() -> Result<(), Error> {
    let _one = fresh();
    let read = || AsyncContextManager::get_context_value(&ContextKey::new("operation_id"));
    let inside;
    {
        // Example 7.
        // Execute task within async context
        let _scope = AsyncContextScope::enter_empty()?;
        AsyncContextManager::set_context_value(
            ContextKey::new("operation_id".to_string()),
            ContextValue::from_component_value(ComponentValue::String("op_123".to_string())),
        )?;

        let task_id = TaskBuiltins::task_start()?;
        // Task has access to context values
        let op_id = AsyncContextManager::get_context_value(&ContextKey::new("operation_id"))?;
        // End.
        assert_eq!(op_id, Some(ContextValue::from("op_123")));
        inside = task_id;
    }
    // The scope is over, and the task still has them.
    assert_eq!(read()?, None);
    assert_eq!(TaskBuiltins::task_run(inside, read)??, Some(ContextValue::from("op_123")));
    Ok(())
}

fn example_8_error_context_of_a_task_that_is_cancelled() -> Result<(), Error> {
    let _one = fresh();
    // Example 8.
    let task_id = TaskBuiltins::task_start()?;

    // If task fails, create detailed error context
    let error_id =
        ErrorContextBuiltins::error_context_new("Task execution failed".to_string(), ErrorSeverity::Error)?;

    ErrorContextBuiltins::error_context_set_metadata(
        error_id,
        "task_id".to_string(),
        ComponentValue::U64(task_id.as_u64()),
    )?;

    TaskBuiltins::task_cancel(task_id)?;
    // End.
    assert_eq!(TaskBuiltins::task_wait(task_id)?, TaskOutcome::Cancelled);
    let value = ErrorContextBuiltins::error_context_get_metadata(error_id, "task_id")?;
    assert_eq!(value, Some(ComponentValue::U64(task_id.as_u64())));
    let shown = format!("{}", ErrorContextBuiltins::error_context_stack_trace(error_id)?);
    assert_eq!(shown, format!("error: Task execution failed\n  task_id: {}", task_id.as_u64()));
    Ok(())
}

fn example_9_first_of_several_futures_is_taken() -> Result<(), Error> {
    let _one = fresh();
    let futures = [Future::new(), Future::new(), Future::new()];
    let handles: Vec<_> = futures.iter().map(|future| future.handle).collect();
    let completes = |at: usize| handles[at].complete(ComponentValue::U32(at as u32));
    // One of them is complete before anybody waits.
    let second =
        Future { handle: FutureHandle::new(), state: FutureState::Ready(Some(ComponentValue::U32(9))) };
    let futures = futures.into_iter().chain([second.clone()]);
    // Example 9.
    let set_id = WaitableSetBuiltins::waitable_set_new()?;

    // Add multiple futures
    for future in futures {
        WaitableSetBuiltins::waitable_set_add(set_id, Waitable::Future(future))?;
    }

    // Wait for first to complete
    match WaitableSetBuiltins::waitable_set_wait(set_id)? {
        WaitResult::Ready(entry) => {
            // Handle first ready future
            assert_eq!(entry.waitable, Waitable::Future(second));
        }
        _ => {
            /* Handle timeout or error */
            assert_eq!(WaitableSetBuiltins::waitable_set_len(set_id)?, 0, "one is ready");
        }
    }
    // End.
    // In the order in which they are completed, and each once.
    completes(2)?;
    completes(0)?;
    for at in [2, 0] {
        let entry = WaitableSetBuiltins::waitable_set_wait(set_id)?.ready().expect("it was completed");
        let state = FutureState::Ready(Some(ComponentValue::U32(at as u32)));
        assert_eq!(entry.waitable, Waitable::Future(Future { handle: handles[at], state }));
    }
    assert_eq!(WaitableSetBuiltins::waitable_set_wait(set_id)?, WaitResult::Deadlock);
    Ok(())
}

tests! {
    example_1_context_values_follow_their_scopes,
    example_2_task_returns_and_is_waited_for,
    example_3_waitable_set_that_nothing_can_make_ready_says_so,
    example_3_waitable_set_wait_answers_what_is_ready,
    example_4_error_context_has_a_stack_trace,
    example_5_thread_runs_and_is_joined_with_its_result,
    example_6_fixed_length_list_takes_its_type_and_its_length,
    example_7_task_has_the_context_that_it_was_started_in,
    example_8_error_context_of_a_task_that_is_cancelled,
    example_9_first_of_several_futures_is_taken,
}
