//! A plan as bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`FORMAT`] |
//! | 4 | size of it all |
//! | 4 | CRC-32 of everything but itself |
//! | 4 | size of the tables |
//! | 4 | how many core modules there are |
//! | 20 | the version of this crate that made it, padded with zeros |
//! | 8 each | of each core module, its offset and its size |
//! | | the tables: everything of the [`Plan`] but its modules, by serde and postcard |
//! | | the core modules' bytes, each at the next multiple of 8, and zeros up to one after the last |
//!
//! Numbers have 32 bits and are little-endian. What comes before the modules' offsets is the same in every format. There is one
//! way to write a plan: modules overlap nothing, and lie in their order.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crc::{CRC_32_ISO_HDLC, Crc};

use super::{Module, Plan, PlanError, check, read};

/// What every plan begins with: no text has the first byte, and a transfer that takes plans for text changes the last two.
pub const MAGIC: [u8; 8] = *b"\0canon\r\n";

/// The format of plans that this version writes and reads. It changes with the shape of [`Plan`] and of all that is in it.
pub const FORMAT: u32 = 2;

/// Where what is, in bytes.
const AT_FORMAT: usize = 8;
const AT_SIZE: usize = 12;
const AT_CHECKSUM: usize = 16;
const AT_TABLES: usize = 20;
const AT_MODULES: usize = 24;
const AT_PRODUCER: usize = 28;
const HEADER: usize = 48;
/// The size of a module's offset and size.
const ENTRY: usize = 8;
const ALIGN: usize = 8;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

impl Plan {
    /// Whether these bytes begin as a plan does.
    pub fn is_plan(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// How many bytes the plan has that these begin with: for one that lies in flash with other things behind it.
    ///
    /// # Errors
    /// `NotPlan`, `Format`, and `Size` where there are not enough bytes to tell.
    pub fn size(bytes: &[u8]) -> Result<u32, PlanError> {
        if !Self::is_plan(bytes) {
            return Err(PlanError::NotPlan);
        }
        let cut = || PlanError::Size { expected: HEADER as u32, found: bytes.len() };
        let header = bytes.get(..HEADER).ok_or_else(cut)?;
        match word(header, AT_FORMAT) {
            Some(FORMAT) => word(header, AT_SIZE).ok_or_else(cut),
            found => Err(PlanError::Format { found: found.unwrap_or_default(), producer: producer(header) }),
        }
    }

    /// The plan as bytes: what a device loads. [`Plan::from_bytes`] of them is an equal plan.
    ///
    /// # Errors
    /// `Field`: the plan contradicts itself, as no translated one does; or it has 2^32 bytes or more.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PlanError> {
        check::check(self)?;
        let tables = postcard::to_allocvec(self)
            .map_err(|error| PlanError::field("tables", format_args!("can't be written: {error}")))?;
        let mut bytes = Vec::from([0; HEADER]);
        let mut end = align(HEADER.saturating_add(self.modules.len().saturating_mul(ENTRY)))
            .and_then(|start| align(start.saturating_add(tables.len())));
        for (index, Module { bytes: module }) in self.modules.iter().enumerate() {
            let start = end.and_then(|start| u32::try_from(start).ok());
            end = end.and_then(|start| align(start.saturating_add(module.len())));
            let (Some(start), Ok(size)) = (start, u32::try_from(module.len())) else {
                return Err(PlanError::field(format_args!("modules[{index}]"), TOO_LARGE));
            };
            bytes.extend_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes.extend_from_slice(&tables);
        pad(&mut bytes);
        for module in &self.modules {
            bytes.extend_from_slice(&module.bytes);
            pad(&mut bytes);
        }
        let size = u32::try_from(bytes.len()).map_err(|_| PlanError::field("size", TOO_LARGE))?;
        let words = [
            (AT_FORMAT, FORMAT),
            (AT_SIZE, size),
            (AT_TABLES, u32::try_from(tables.len()).unwrap_or(size)),
            (AT_MODULES, u32::try_from(self.modules.len()).unwrap_or(size)),
        ];
        put(&mut bytes, 0, &MAGIC);
        words.into_iter().for_each(|(at, word)| put(&mut bytes, at, &word.to_le_bytes()));
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        put(&mut bytes, AT_PRODUCER, version.get(..HEADER - AT_PRODUCER).unwrap_or(version));
        let checksum = checksum(&bytes);
        put(&mut bytes, AT_CHECKSUM, &checksum.to_le_bytes());
        Ok(bytes)
    }

    /// A plan from its bytes, wherever they come from: any bytes give a plan that can be linked or an error. Copies the core
    /// modules; beside them, allocates at most a fixed multiple of the bytes' number.
    ///
    /// # Errors
    /// `NotPlan`, `Format`, `Size`, `Checksum`; `Field`, with the path of a field that contradicts the rest.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PlanError> {
        load(bytes, |module| Cow::Owned(module.to_vec()))
    }

    /// As [`Plan::from_bytes`], of bytes that live for ever, as those in flash do: the core modules stay where they are.
    ///
    /// # Errors
    /// As [`Plan::from_bytes`].
    ///
    /// ```
    /// # #[cfg(feature = "translate")] {
    /// use canon_async_component::{Plan, TranslateOptions, translate};
    ///
    /// // On a PC; `canon compile` does this.
    /// let component = wat::parse_str("(component (core module))").unwrap();
    /// let bytes = translate(&component, &TranslateOptions::default()).unwrap().to_bytes().unwrap();
    ///
    /// // On a device, of `include_bytes!`, say.
    /// let flash: &'static [u8] = bytes.leak();
    /// let plan = Plan::from_static(flash).unwrap();
    /// assert!(flash.as_ptr_range().contains(&plan.modules[0].bytes.as_ptr()));
    /// # }
    /// ```
    pub fn from_static(bytes: &'static [u8]) -> Result<Self, PlanError> {
        load(bytes, Cow::Borrowed)
    }
}

const TOO_LARGE: &str = "a plan has less than 2^32 bytes";

/// `module` makes what the plan keeps of a module's bytes.
fn load<'a>(bytes: &'a [u8], module: impl Fn(&'a [u8]) -> Cow<'static, [u8]>) -> Result<Plan, PlanError> {
    let size = Plan::size(bytes)?;
    if usize::try_from(size) != Ok(bytes.len()) {
        return Err(PlanError::Size { expected: size, found: bytes.len() });
    }
    let (expected, found) = (word(bytes, AT_CHECKSUM).unwrap_or_default(), checksum(bytes));
    if expected != found {
        return Err(PlanError::Checksum { expected, found });
    }
    let parts = Parts::new(bytes)?;
    let mut plan = read::read(parts.tables)?;
    plan.modules = parts.modules.into_iter().map(|bytes| Module { bytes: module(bytes) }).collect();
    check::check(&plan)?;
    Ok(plan)
}

/// What lies where in a plan.
struct Parts<'a> {
    tables: &'a [u8],
    modules: Vec<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let beyond = |path: &str, size: u32| {
            let problem = format!("{size}, and the plan has {} bytes", bytes.len());
            PlanError::Field { path: path.into(), problem }
        };
        let count = word(bytes, AT_MODULES).unwrap_or_default();
        let entries = (count as usize).checked_mul(ENTRY).and_then(|size| bytes.get(HEADER..)?.get(..size));
        let entries = entries.ok_or_else(|| beyond("modules.len", count))?;
        let start = HEADER.saturating_add(entries.len());
        let size = word(bytes, AT_TABLES).unwrap_or_default();
        let tables = bytes.get(start..).and_then(|rest| rest.get(..size as usize));
        let tables = tables.ok_or_else(|| beyond("tables.size", size))?;
        let mut end = padded(bytes, start.saturating_add(tables.len()), "tables")?;
        let mut modules = Vec::with_capacity(entries.len() / ENTRY);
        for (index, entry) in entries.chunks_exact(ENTRY).enumerate() {
            let (offset, size) = (word(entry, 0).unwrap_or_default(), word(entry, 4).unwrap_or_default());
            if offset as usize != end {
                let path = format_args!("modules[{index}].offset");
                return Err(PlanError::field(path, format_args!("{offset}, expected {end}")));
            }
            let module = bytes.get(end..).and_then(|rest| rest.get(..size as usize));
            let module = module.ok_or_else(|| beyond(&format!("modules[{index}].size"), size))?;
            end = padded(bytes, end.saturating_add(module.len()), &format!("modules[{index}]"))?;
            modules.push(module);
        }
        match bytes.get(end..) {
            Some([]) => Ok(Self { tables, modules }),
            _ => Err(PlanError::field("size", format_args!("{}, expected {end}", bytes.len()))),
        }
    }
}

/// Where what comes after the zeros begins that follow on something.
fn padded(bytes: &[u8], end: usize, what: &str) -> Result<usize, PlanError> {
    let next =
        align(end).filter(|next| bytes.get(end..*next).is_some_and(|zeros| zeros.iter().all(|b| *b == 0)));
    next.ok_or_else(|| {
        PlanError::field(what, format_args!("expected zeros up to the next multiple of {ALIGN}"))
    })
}

fn align(at: usize) -> Option<usize> {
    at.checked_next_multiple_of(ALIGN)
}

fn pad(bytes: &mut Vec<u8>) {
    let end = align(bytes.len()).unwrap_or(bytes.len());
    bytes.resize(end, 0);
}

/// The number at an offset, if there is one.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Writes bytes that are there.
fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    let to = bytes.get_mut(at..).into_iter().flatten();
    to.zip(what).for_each(|(to, from)| *to = *from);
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(bytes.get(..AT_CHECKSUM).unwrap_or_default());
    digest.update(bytes.get(AT_TABLES..).unwrap_or_default());
    digest.finalize()
}

/// The version that made a plan, for messages: whatever could be one.
fn producer(header: &[u8]) -> String {
    let text = header.get(AT_PRODUCER..).unwrap_or_default().iter().map(|byte| char::from(*byte));
    text.take_while(char::is_ascii_graphic).collect()
}
