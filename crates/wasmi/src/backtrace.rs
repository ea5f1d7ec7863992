//! [`Backtrace`]: where a guest was when it trapped, and who called it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use canon_async::Error;
use canon_async_component::inspect::Escaped;

/// How many calls between components a backtrace has at most.
pub const MAX_FRAMES: usize = 32;

/// How many messages of error contexts a backtrace has at most.
pub const MAX_MESSAGES: usize = 3;

/// Where guests were when an error ended them, from the innermost call between components to the host.
///
/// It is displayed as one line, of where the innermost was; with `{:#}` as a line for each call. Names come
/// from the components: they are cut and escaped.
///
/// What it says, this crate knows: who entered which component by which export, and by which core function.
/// wasmi 2.0 keeps nothing of the core functions that these called in turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backtrace {
    error: Error,
    frames: Vec<Frame>,
    omitted: u32,
    messages: Vec<String>,
}

/// A call of a component: what a guest was doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub(crate) component: String,
    pub(crate) task: Task,
    pub(crate) entry: Option<CoreFunction>,
    pub(crate) builtin: Option<String>,
    pub(crate) next: Next,
}

/// What a component was called for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Task {
    /// A function that it exports: `name`, or `instance#name`.
    Export(String),
    /// A function that it lifts and does not export by a name that is known.
    Function,
    /// The destructor of a resource of this name.
    Destructor(String),
    /// Start functions of its core modules, or its own.
    Start,
    /// `realloc`, `post-return`: what the canonical ABI calls, by the name of the option.
    Option(&'static str),
    /// Not a component: a function of the host, by the path at which it is imported.
    Host(String),
    /// It made the call, and what else it does is not known: the call began earlier, and the function that
    /// made it has gone on, or has returned.
    Caller,
}

/// How a frame came to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Next {
    /// The next frame called it, and waits for it.
    Called,
    /// The next frame called it earlier, and went on; the scheduler resumed it.
    CalledEarlier,
    /// The next frame did not call it: it ran while that waited, or was resumed by it.
    Resumed,
    /// The host called it, or linked it.
    Host,
    /// It is not known, or there are more frames.
    Unknown,
}

/// A function of a core module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoreFunction {
    pub(crate) index: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) export: Option<String>,
    pub(crate) module: String,
    pub(crate) offset: Option<u32>,
}

impl Backtrace {
    pub(crate) fn new(error: Error, frames: Vec<Frame>, omitted: u32, messages: Vec<String>) -> Self {
        Self { error, frames, omitted, messages }
    }

    /// The calls, the innermost first: at most [`MAX_FRAMES`].
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// How many calls were left out, between the last frame and the host.
    pub fn omitted(&self) -> u32 {
        self.omitted
    }

    /// 📝 Messages of error contexts that the innermost component held when it trapped, which may say why: the
    /// first [`MAX_MESSAGES`], each of at most 128 bytes.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The innermost call.
    pub fn innermost(&self) -> Option<&Frame> {
        self.frames.first()
    }
}

impl Frame {
    /// The component's path in the composition: the names of the component instances around it and its own,
    /// from the root, with ` / ` between. One without a name is `#` and its number.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// What it was called for.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The export that was called.
    pub fn export(&self) -> Option<&str> {
        match &self.task {
            Task::Export(name) => Some(name),
            _ => None,
        }
    }

    /// The core function at which it was entered, where that is known.
    pub fn entry(&self) -> Option<&CoreFunction> {
        self.entry.as_ref()
    }

    /// The built-in that failed in it, by the spec's name; of a call, `call of` and whose.
    pub fn builtin(&self) -> Option<&str> {
        self.builtin.as_deref()
    }

    /// How it came to run.
    pub fn next(&self) -> Next {
        self.next
    }
}

impl CoreFunction {
    /// Its index in its module; `None` where the module can't be read.
    pub fn index(&self) -> Option<u32> {
        self.index
    }

    /// Its name in the module's name section.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name that the module exports it under, by which it was found.
    pub fn export(&self) -> Option<&str> {
        self.export.as_deref()
    }

    /// Its module: the name in the name section, or `core module` and its number.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Where its code begins, in bytes from the beginning of the module's binary.
    pub fn offset(&self) -> Option<u32> {
        self.offset
    }
}

/// A component's own text, cut and escaped.
struct Shown<'a>(&'a str);

/// How many characters of a name are shown.
const SHOWN: usize = 100;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "{}..", Escaped(self.0.get(..end).unwrap_or_default())),
            None => Escaped(self.0).fmt(f),
        }
    }
}

impl fmt::Display for CoreFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("core function ")?;
        match (&self.name, self.index, &self.export) {
            (Some(name), ..) => write!(f, "${}", Shown(name))?,
            (None, Some(index), _) => write!(f, "{index}")?,
            (None, None, Some(export)) => write!(f, "\"{}\"", Shown(export))?,
            (None, None, None) => f.write_str("(unknown)")?,
        }
        write!(f, " of {}", Shown(&self.module))?;
        if let (Some(_), Some(index)) = (&self.name, self.index) {
            write!(f, " (index {index}")?;
            if let Some(offset) = self.offset {
                write!(f, ", at {offset:#x}")?;
            }
            return f.write_str(")");
        }
        match self.offset {
            Some(offset) => write!(f, " (at {offset:#x})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Export(name) => write!(f, "export \"{}\"", Shown(name)),
            Self::Function => f.write_str("a function that it does not export"),
            Self::Destructor(name) => write!(f, "the destructor of \"{}\"", Shown(name)),
            Self::Start => f.write_str("a start function"),
            Self::Option(name) => f.write_str(name),
            Self::Host(path) => write!(f, "\"{}\"", Shown(path)),
            Self::Caller => f.write_str("made the call"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Task::Caller => write!(f, "{}", Path(&self.component))?,
            task => write!(f, "{}: {task}", Path(&self.component))?,
        }
        if let Some(entry) = &self.entry {
            write!(f, ", entered at {entry}")?;
        }
        match &self.builtin {
            Some(builtin) => write!(f, ", in {}", Shown(builtin)),
            None => Ok(()),
        }
    }
}

/// The message of an error context, as it is displayed in a line of its own.
struct Held<'a>(&'a str);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it held an error context: \"{}\"", Escaped(self.0))
    }
}

/// A path, whose end says more than its beginning.
struct Path<'a>(&'a str);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ends = self.0.char_indices().rev();
        match ends.nth(SHOWN) {
            Some((cut, first)) => {
                let rest = self.0.get(cut.saturating_add(first.len_utf8())..).unwrap_or_default();
                write!(f, "..{}", Escaped(rest))
            }
            None => Escaped(self.0).fmt(f),
        }
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return match self.innermost() {
                Some(frame) => write!(f, "in {frame}"),
                None => f.write_str("at a place that is not known"),
            };
        }
        for (index, frame) in self.frames.iter().enumerate() {
            write!(f, "{index:>3}: {frame}")?;
            f.write_str(match frame.next {
                Next::Called => ", called by\n",
                Next::CalledEarlier => ", resumed by the scheduler; called earlier by\n",
                Next::Resumed => ", which ran inside of\n",
                Next::Host => ", called by the host",
                Next::Unknown => "",
            })?;
        }
        if self.omitted > 0 {
            write!(f, "\n     .. and {} more", self.omitted)?;
        }
        self.messages.iter().try_for_each(|message| write!(f, "\n     {}", Held(message)))
    }
}

/// Its source is the core's error.
impl core::error::Error for Backtrace {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}
