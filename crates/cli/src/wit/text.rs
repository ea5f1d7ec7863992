//! WIT of components and of WIT packages, as text.
//!
//! wit-parser reads, and wit-component's printer writes. Neither bounds what it does: who calls this has held
//! the component to `PlanLimits`, which bound the sizes of types, and the printer writes into [`Text`], which
//! takes no more than [`MAX_BYTES`].

use canon_async_component::inspect::Escaped;
use wit_component::{DecodedWasm, Output, WitPrinter};
use wit_parser::{PackageId, Resolve};

use crate::caught::caught;

/// The longest text.
const MAX_BYTES: usize = 4 << 20;

/// The WIT of a component, or of a WIT package that is a component: its world, and each package that the
/// world names.
///
/// # Errors
/// Why there is none: a component may import and export what WIT has no words for.
pub fn of_component(bytes: &[u8]) -> Result<String, String> {
    let decoded = caught(|| wit_component::decode(bytes))?.map_err(|error| format!("{error:#}"))?;
    let (resolve, package) = match &decoded {
        DecodedWasm::WitPackage(resolve, package) => (resolve, *package),
        DecodedWasm::Component(resolve, world) => {
            let package = resolve.worlds.get(*world).and_then(|world| world.package);
            (resolve, package.ok_or("a world without a package")?)
        }
    };
    of_package(resolve, package)
}

/// The WIT of a package, with all others that were read, each in its own braces.
///
/// # Errors
/// The text is too long.
pub fn of_package(resolve: &Resolve, package: PackageId) -> Result<String, String> {
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let printed = caught(|| {
        let mut printer = WitPrinter::new(Text::default());
        printer.print(resolve, package, &others).map(|()| printer.output)
    });
    let text = printed?.map_err(|error| format!("{error:#}"))?;
    match text.is_cut {
        true => Err(format!("its text has more than {MAX_BYTES} bytes")),
        false => Ok(text.written.trim_end().to_string()),
    }
}

/// What the printer writes, [`Escaped`]: documentation may be any text.
#[derive(Default)]
struct Text {
    written: String,
    indent: usize,
    is_at_start: bool,
    is_cut: bool,
}

impl Output for Text {
    fn push_str(&mut self, text: &str) {
        match self.written.len().saturating_add(text.len()) > MAX_BYTES {
            true => self.is_cut = true,
            false => self.written.push_str(&Escaped(text).to_string()),
        }
    }

    fn indent_if_needed(&mut self) -> bool {
        let needed = std::mem::take(&mut self.is_at_start);
        if needed {
            (0..self.indent).for_each(|_| self.push_str("  "));
        }
        needed
    }

    fn indent_start(&mut self) {
        self.push_str(" {");
        self.indent = self.indent.saturating_add(1);
        self.newline();
    }

    fn indent_end(&mut self) {
        self.indent = self.indent.saturating_sub(1);
        self.indent_if_needed();
        self.push_str("}");
        self.newline();
    }

    fn newline(&mut self) {
        if !self.is_cut {
            self.written.push('\n');
        }
        self.is_at_start = true;
    }
}
