//! The host functions: what each call does is the next choice of the tape in the store.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use canon_async_component::types::{FuncType, TypeTable};
use canon_async_wasmi::{Caller, Error, Func, Linker, Val};

use crate::call::verify;
use crate::tape::Tape;
use crate::values::{Held, value};

/// The store's data.
#[derive(Debug, Default)]
pub struct Host {
    /// What happens.
    pub tape: Tape,
    /// What the host holds.
    pub held: Held,
    /// Functions of guests, for host functions that call back.
    pub funcs: Vec<Func>,
    /// What functions that answer later wait for.
    pub events: Events,
    /// Whether the host waits in place now: what is called then answers without an event, which nothing would
    /// bring about.
    pub blocks: bool,
}

/// Things that happen, by number, and who waits for them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<Event>>>);

/// Whether it has happened, and who waits for it.
type Event = (bool, Option<Waker>);

impl Events {
    /// One that has not happened.
    fn add(&self) -> usize {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push((false, None));
        events.len().saturating_sub(1)
    }

    /// Makes one of them happen.
    pub fn happen(&self, sel: usize) {
        let waker = {
            let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = sel.checked_rem(events.len()).unwrap_or(0);
            events.get_mut(at).and_then(|event| {
                event.0 = true;
                event.1.take()
            })
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Makes all of them happen.
    pub fn all_happen(&self) {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        (0..events).for_each(|at| self.happen(at));
    }

    fn poll(&self, at: usize, context: &mut Context<'_>) -> Poll<()> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match events.get_mut(at) {
            Some((false, waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

/// An answer that comes later.
struct Later {
    /// How often it asks to be polled again.
    polls: u32,
    /// What it waits for then.
    event: Option<(Events, usize)>,
    panics: bool,
    answer: Option<Result<Option<Val>, Error>>,
}

impl Future for Later {
    type Output = Result<Option<Val>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(polls) = self.polls.checked_sub(1) {
            self.polls = polls;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some((events, at)) = &self.event
            && events.poll(*at, context).is_pending()
        {
            return Poll::Pending;
        }
        if self.panics {
            // Not `panic!`: the fuzzer's hook would take it for ours.
            resume_unwind(Box::new("a host future panics"));
        }
        Poll::Ready(self.answer.take().unwrap_or_else(|| Err(Error::host("polled twice"))))
    }
}

/// Defines a host function of this type.
pub fn define(linker: &mut Linker<Host>, tape: &mut Tape, path: &str, types: &Arc<TypeTable>, ty: &FuncType) {
    let (types, result, is_async) = (types.clone(), ty.result, ty.is_async);
    if is_async && tape.byte() % 4 != 3 {
        linker.func_async(path, move |mut caller, args| {
            let answer = answer(&mut caller, args, &types, result);
            let host = caller.data_mut();
            let event = host.tape.byte();
            Later {
                polls: if event & 1 == 0 { 0 } else { u32::from(host.tape.byte() % 8) },
                event: (event & 2 != 0 && !host.blocks).then(|| (host.events.clone(), host.events.add())),
                panics: event >= 252,
                answer: Some(answer),
            }
        });
    } else {
        linker.func(path, move |mut caller, args| answer(&mut caller, args, &types, result));
    }
}

fn answer(
    caller: &mut Caller<'_, Host>,
    args: &[Val],
    types: &TypeTable,
    result: Option<canon_async_component::types::ValType>,
) -> Result<Option<Val>, Error> {
    if let Err(what) = caller.core().check() {
        panic!("in a host function: {what}");
    }
    let host = caller.data_mut();
    args.iter().for_each(|arg| host.held.keep(arg));
    match host.tape.byte() {
        224..=231 => call_back(caller),
        232..=235 => drop_held(&mut *caller),
        236..=239 => drop(caller.set_fuel(5000)),
        240..=245 => return Err(Error::host("no")),
        246..=249 => resume_unwind(Box::new("a host function panics")),
        // Of another type than it has to be.
        250..=252 => return Ok(Some(Val::Enum("none".into()))),
        253..=255 => return Ok(None),
        _ => {}
    }
    let host = caller.data_mut();
    Ok(result.map(|ty| value(&mut host.tape, &mut host.held, types, ty)))
}

/// Calls a guest, which may be the one that called.
fn call_back(caller: &mut Caller<'_, Host>) {
    let host = caller.data_mut();
    let at = host.tape.below(8);
    let Some(func) = at.checked_rem(host.funcs.len()).and_then(|at| host.funcs.get(at)).cloned() else {
        return;
    };
    let args = crate::call::args(host, &func);
    let result = if caller.data_mut().tape.byte() % 2 == 0 {
        func.call(&mut *caller, &args)
    } else {
        let started = func.start(&mut *caller, &args);
        started.map(|call| {
            call.forget(&mut *caller);
            None
        })
    };
    verify(result.as_ref().err());
    if let Ok(Some(val)) = &result {
        caller.data_mut().held.keep(val);
    }
}

/// Drops something that the host holds.
pub fn drop_held(mut ctx: impl canon_async_wasmi::AsContextMut<Data = Host> + HasHost) {
    let host = ctx.host();
    let at = host.tape.below(8);
    let Some(at) = at.checked_rem(host.held.handles.len()) else { return };
    let result = match host.held.handles.swap_remove(at) {
        Val::Resource(index) => ctx.drop_resource(index),
        Val::ErrorContext(index) => ctx.drop_error_context(index),
        _ => Ok(()),
    };
    verify(result.as_ref().err());
}

/// What has the host's data.
pub trait HasHost {
    /// The data.
    fn host(&mut self) -> &mut Host;
}

impl HasHost for &mut Caller<'_, Host> {
    fn host(&mut self) -> &mut Host {
        self.data_mut()
    }
}

impl HasHost for &mut canon_async_wasmi::Store<Host> {
    fn host(&mut self) -> &mut Host {
        self.data_mut()
    }
}
