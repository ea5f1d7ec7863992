//! Runs a file's directives, on a thread of its own.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use wast::WastDirective;
use wast::parser::{self, ParseBuffer};

use super::report::{Directive, Failed, Outcome};
use super::runner::{Problem, Runner};
use super::script::{Form, Position, Script, lexer};
use super::{Options, reach};
use crate::input;
use crate::limits::NATIVE_STACK;

/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;
/// What takes longer is named on stderr, if that is a terminal.
const SLOW: Duration = Duration::from_secs(2);
/// How long after the deadline a guest may take to be interrupted, on a busy machine. What is not by then is
/// parsed, translated or compiled, which can't be.
const GRACE: Duration = Duration::from_secs(3);

/// What the thread says.
enum Event {
    /// A directive begins.
    Begin(Position, String),
    End(Result<(), Failed>),
    /// All that is run was: so many were not.
    Done(usize),
}

/// Runs a file, which is read on that thread too, and passes on each of its directives when it has ended.
pub fn run(path: &Path, options: Options, each: &mut dyn FnMut(&Directive)) -> Outcome {
    let begun = Instant::now();
    catch_panics();
    let mut run = Run { begun, options, each, outcome: Outcome::default(), current: None };
    let (send, receive) = channel();
    let file = path.to_path_buf();
    let work = move || {
        let panicking = send.clone();
        UNDER_WAY.set(Some(String::new()));
        let finished = panic::catch_unwind(panic::AssertUnwindSafe(|| match text(&file) {
            Ok(text) => directives(&text, options, begun, &send),
            Err(error) => send.send(Event::End(Err(Failed::new(error)))).map_err(|_| Abandoned),
        }));
        let message = UNDER_WAY.take().unwrap_or_default();
        if finished.is_err() {
            // The state that it leaves is of no use.
            let _ = panicking.send(Event::End(Err(Failed::new(format_args!("panic: {message}")))));
        }
    };
    match thread::Builder::new().name("wast".into()).stack_size(NATIVE_STACK).spawn(work) {
        Ok(thread) => {
            if run.listen(path, &receive) {
                let _ = thread.join();
            }
        }
        Err(error) => run.end(Err(Failed::new(format_args!("no thread to run on: {error}")))),
    }
    run.outcome
}

/// What is known of a file that is being run.
struct Run<'r> {
    begun: Instant,
    options: Options,
    each: &'r mut dyn FnMut(&Directive),
    outcome: Outcome,
    /// The directive under way.
    current: Option<(Position, String)>,
}

impl Run<'_> {
    /// Takes what the thread says until it is done. Whether it is.
    fn listen(&mut self, path: &Path, receive: &Receiver<Event>) -> bool {
        let mut named = false;
        loop {
            let event = match receive.recv_timeout(SLOW) {
                Ok(event) => event,
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => {
                    if self
                        .options
                        .timeout
                        .is_some_and(|timeout| self.begun.elapsed() > timeout.saturating_add(GRACE))
                    {
                        self.end(Err(Failed::new(format_args!(
                            "{}, in what can't be interrupted: reading, parsing, compiling, a memory that grows",
                            self.options.limits().deadline()
                        ))));
                        return false;
                    }
                    if !named {
                        self.name(path);
                        named = true;
                    }
                    continue;
                }
            };
            named = false;
            match event {
                Event::Begin(position, keyword) => self.current = Some((position, keyword)),
                Event::End(result) => self.end(result),
                Event::Done(not_run) => self.outcome.not_run = not_run,
            }
        }
    }

    /// For a person that waits.
    fn name(&self, path: &Path) {
        let path = input::shown(path);
        match &self.current {
            Some((position, keyword)) => {
                input::progress(format_args!("{path}:{position}: {keyword} takes long .."));
            }
            None => input::progress(format_args!("{path}: takes long ..")),
        }
    }

    fn end(&mut self, result: Result<(), Failed>) {
        let (position, keyword) =
            self.current.take().unwrap_or((Position { line: 1, column: 1 }, String::new()));
        self.outcome.directives = self.outcome.directives.saturating_add(1);
        let directive = Directive { position, keyword, failed: result.err() };
        (self.each)(&directive);
        if directive.failed.is_some() {
            self.outcome.failures.push(directive);
        }
    }
}

/// A file's text, or stdin's.
fn text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES.saturating_add(1);
    match input::is_standard(path) {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(most).read_to_end(&mut bytes)?,
    };
    if u64::try_from(bytes.len()).map_or(true, |len| len > MAX_BYTES) {
        return Err(io::Error::other(format!("more than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8 text"))
}

thread_local! {
    /// On a thread that runs a file: what a panic said.
    static UNDER_WAY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic in a file prints nothing: its message is for the outcome.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = UNDER_WAY.with_borrow_mut(|under_way| match under_way {
                Some(message) => {
                    *message = info.to_string();
                    true
                }
                None => false,
            });
            if !ours {
                before(info);
            }
        }));
    });
}

/// The receiver was dropped: the file has failed already, and its results are no longer wanted.
struct Abandoned;

/// Divides a file's text and runs its directives.
fn directives(text: &str, options: Options, begun: Instant, send: &Sender<Event>) -> Result<(), Abandoned> {
    let say = |event| send.send(event).map_err(|_| Abandoned);
    let fail = |position, reason: String| {
        say(Event::Begin(position, String::new()))?;
        say(Event::End(Err(Failed::new(reason))))
    };
    let start = Position { line: 1, column: 1 };
    let script = Script::new(text);
    let stores = reach::stores(&script.forms);
    let mut runner = match Runner::new(options, begun, stores.first().copied().unwrap_or(1)) {
        Ok(runner) => runner,
        Err(error) => return fail(start, error.to_string()),
    };
    if script.forms.is_empty() && script.error.is_none() {
        return fail(start, "no directive in it".into());
    }
    let count = script.forms.len();
    for (at, (form, components)) in script.forms.iter().zip(&stores).enumerate() {
        let position = script.position(form.offset);
        say(Event::Begin(position, form.keyword.into()))?;
        let result = match (at, *components) {
            (0, _) | (_, 0) => Ok(()),
            (_, components) => runner.renew(components).map_err(|error| Problem::from(error.to_string())),
        };
        let result = match late(options, begun) {
            Some(problem) => Err(problem),
            None => result.and_then(|()| directive(&script, form, position, &mut runner)),
        };
        if let Err(problem) = &result {
            let position = problem.at.unwrap_or(position);
            if problem.at.is_some() {
                say(Event::Begin(position, form.keyword.into()))?;
            }
            runner.failed(position, &form.head);
        }
        let ends = result.as_ref().is_err_and(|problem| problem.ends || options.fail_fast);
        say(Event::End(
            result.map_err(|problem| Failed { after: problem.after, ..Failed::new(problem.reason) }),
        ))?;
        if ends {
            return say(Event::Done(count.saturating_sub(at).saturating_sub(1)));
        }
    }
    match &script.error {
        Some((offset, message)) => fail(script.position(*offset), format!("syntax: {message}")),
        None => Ok(()),
    }
}

/// Parses a directive and runs it.
fn directive(script: &Script<'_>, form: &Form<'_>, at: Position, runner: &mut Runner) -> Result<(), Problem> {
    let syntax = |error: wast::Error| {
        let at = script.position(form.offset.saturating_add(error.span().offset()));
        Problem::syntax(at, &error.message())
    };
    if matches!(form.keyword, "thread" | "wait") {
        return Err(format!("directive not supported: {}", form.keyword).into());
    }
    if !form.is_directive() {
        return Err(format!("unknown directive: {}", form.keyword).into());
    }
    let buffer = ParseBuffer::new_with_lexer(lexer(form.text)).map_err(syntax)?;
    let parsed = parser::parse::<wast::Wast<'_>>(&buffer).map_err(syntax)?;
    let directives: Vec<WastDirective<'_>> = parsed.directives;
    directives.into_iter().try_for_each(|directive| runner.run(at, directive))
}

/// Whether the time is up between two directives.
fn late(options: Options, begun: Instant) -> Option<Problem> {
    let late = options.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
    late.then(|| Problem::ending(options.limits().deadline()))
}
