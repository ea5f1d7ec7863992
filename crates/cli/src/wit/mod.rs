//! `canon wit`.

pub mod text;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use wit_parser::{ParseError, Resolve, ResolveError};

use crate::caught::caught;
use crate::console::{self, Failure};
use crate::input::{self, FileLimits, WitOrLoaded};

const AFTER_HELP: &str = "\
Of a component: the world that it is of, with every interface that it imports or exports. Of
a .wit file, or of a folder with .wit files and a folder deps: its package, checked and
formatted. A comment in front of something stays, as its documentation; others do not.
Packages that a package uses follow it, each in its own braces, so that the text is complete.

Examples:
  canon wit app.wasm
  canon wit app.wasm -o app.wit
  canon wit --check wit/

Exit codes: 0; 1 where the component or the WIT is invalid, or WIT has no words for the
component; 2 for usage.";

/// Show a component's WIT, or check and format WIT
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Wit {
    /// The component: .wasm, or .wat; or a .wit file, or a folder of them; - is stdin
    file: PathBuf,
    /// Where the text goes; else to stdout
    #[arg(short, long, value_name = "FILE", conflicts_with = "check")]
    output: Option<PathBuf>,
    /// Only say what is wrong
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    limits: FileLimits,
}

/// Runs the command.
///
/// # Errors
/// See the text of its help for the exit codes.
pub fn wit(args: &Wit) -> Result<(), Failure> {
    let text = text_of(&args.file, &args.limits)?;
    match &args.output {
        _ if args.check => Ok(()),
        Some(path) if !input::is_standard(path) => {
            let at = path.display();
            fs::write(path, format!("{text}\n"))
                .map_err(|error| Failure::component(format_args!("{at}: {error}")))
        }
        _ => {
            console::line(text);
            Ok(())
        }
    }
}

fn text_of(path: &Path, limits: &FileLimits) -> Result<String, Failure> {
    let at = input::shown(path);
    if path.is_dir() {
        input::check_wit_folder(path, limits)?;
        return checked(&at, &Source::Folder(path));
    }
    match input::wit_or_loaded(path, limits)? {
        WitOrLoaded::Wit(wit) => checked(&at, &Source::Text(&wit)),
        WitOrLoaded::Loaded(loaded) => {
            let binary = loaded.binary.ok_or_else(|| {
                Failure::usage(format_args!(
                    "{at}: this is a plan, which has no WIT; `canon inspect` says what it imports and exports"
                ))
            })?;
            text::of_component(&binary)
                .map_err(|error| Failure::component(format_args!("{at}: WIT has no words for it: {error}")))
        }
    }
}

/// Where WIT comes from.
enum Source<'a> {
    Folder(&'a Path),
    Text(&'a str),
}

/// WIT, checked, and as text again.
fn checked(at: &str, source: &Source<'_>) -> Result<String, Failure> {
    let mut resolve = Resolve { all_features: true, ..Resolve::default() };
    let read = caught(|| match source {
        Source::Folder(path) => resolve.push_dir(path).map(|(package, _)| package),
        Source::Text(text) => resolve.push_str(at, text),
    });
    let invalid = |text: String| Failure::component(format_args!("{at}: not valid WIT: {text}"));
    let package = read.map_err(invalid)?.map_err(|error| {
        // These know where they are in the text.
        let place = error.downcast_ref::<ParseError>().map(|error| error.render(&resolve.source_map));
        let place = place
            .or_else(|| error.downcast_ref::<ResolveError>().map(|error| error.render(&resolve.source_map)));
        invalid(place.unwrap_or_else(|| format!("{error:#}")))
    })?;
    text::of_package(&resolve, package).map_err(|error| Failure::component(format_args!("{at}: {error}")))
}
