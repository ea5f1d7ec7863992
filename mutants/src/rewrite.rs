//! A file with all its mutants in it, each behind a switch.

use crate::find::{Shape, Site};
use std::fmt::Write as _;
use std::ops::Range;

/// A mutant's number; 0 is none.
pub type Number = u32;

/// The sites of a file with the numbers of their mutants: the first of each, and those that are left out.
#[derive(Debug)]
pub struct Numbered<'a> {
    /// The site, and the number of its first mutant.
    pub sites: Vec<(&'a Site, Number)>,
    /// Mutants that do not compile.
    pub refused: &'a [Number],
}

/// The file with its mutants. Each mutant's text stands between comments that [`mutant_at`] finds.
pub fn rewrite(source: &str, numbered: &Numbered<'_>) -> String {
    let mut sites: Vec<_> = numbered.sites.clone();
    // Outer sites first; of two at one place the empty one, which is an entry.
    sites.sort_by_key(|(site, _)| {
        (site.range.start, std::cmp::Reverse(site.range.end), site.shape == Shape::Expr)
    });
    let mut out = String::with_capacity(source.len().saturating_mul(4));
    render(source, 0..source.len(), &sites, numbered.refused, &mut out);
    out
}

fn render(
    source: &str,
    range: Range<usize>,
    sites: &[(&Site, Number)],
    refused: &[Number],
    out: &mut String,
) {
    let mut at = range.start;
    let mut rest = sites;
    while let Some(((site, first), after)) = rest.split_first() {
        let inside =
            after.iter().take_while(|(inner, _)| inner.range.end <= site.range.end && !site.range.is_empty());
        let (inside, after) = after.split_at(inside.count());
        rest = after;
        out.push_str(source.get(at..site.range.start).unwrap_or(""));
        at = site.range.end;
        let mutants: Vec<(Number, &str)> = (*first..)
            .zip(site.mutants.iter().map(|(text, _)| text.as_str()))
            .filter(|(number, _)| !refused.contains(number))
            .collect();
        let own = |out: &mut String| render(source, site.range.clone(), inside, refused, out);
        switched(site.shape, &mutants, own, out);
    }
    out.push_str(source.get(at..range.end).unwrap_or(""));
}

fn switched(shape: Shape, mutants: &[(Number, &str)], own: impl FnOnce(&mut String), out: &mut String) {
    if mutants.is_empty() {
        return own(out);
    }
    if shape == Shape::Expr {
        out.push('(');
    }
    for (number, text) in mutants {
        let not = if shape == Shape::Statement { "!" } else { "" };
        write!(out, "if {not}crate::mutant::on({number}) /*<{number}*/{{ {text}")
            .expect("strings can be written to");
        match shape {
            Shape::Expr => write!(out, " }}/*{number}>*/ else "),
            Shape::Entry => write!(out, " }}/*{number}>*/ "),
            Shape::Statement => continue,
        }
        .expect("strings can be written to");
    }
    match shape {
        Shape::Expr => {
            out.push_str("{ ");
            own(out);
            out.push_str(" })");
        }
        Shape::Entry => own(out),
        Shape::Statement => {
            own(out);
            for (number, _) in mutants {
                write!(out, " }}/*{number}>*/").expect("strings can be written to");
            }
        }
    }
}

/// The innermost mutant whose text has this byte of a rewritten file in it.
pub fn mutant_at(rewritten: &str, at: usize) -> Option<Number> {
    let mut open = Vec::new();
    let mut rest = rewritten.get(..at)?;
    while let Some((_, after)) = rest.split_once("/*") {
        let (comment, after) = after.split_once("*/")?;
        if let Some(number) = comment.strip_prefix('<').and_then(|number| number.parse::<Number>().ok()) {
            open.push(number);
        } else if let Some(number) =
            comment.strip_suffix('>').and_then(|number| number.parse::<Number>().ok())
        {
            open.retain(|of| *of != number);
        }
        rest = after;
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::sites;

    /// The rewritten source, and its sites with their numbers.
    fn rewritten(source: &str, refused: &[Number]) -> String {
        let found = sites(source).expect("the source parses");
        let mut next = 1;
        let mut numbered = Vec::new();
        for site in &found {
            numbered.push((site, next));
            next += site.mutants.len() as Number;
        }
        rewrite(source, &Numbered { sites: numbered, refused })
    }

    const SOURCE: &str = "
        impl Store {
            fn f(&mut self, a: u32) -> Raises<bool> {
                self.touch(a)?;
                if a < 3 && self.is_ready() { return Ok(true); }
                match a { 7 if self.x => self.go(), _ => Ok(a.checked_add(1).is_none()) }
            }
        }";

    #[test]
    fn a_source_with_its_mutants_parses_and_is_itself_without_the_switches() {
        let text = rewritten(SOURCE, &[]);
        syn::parse_file(&text).expect("the mutated source parses");
        let count: usize = sites(SOURCE).expect("it parses").iter().map(|site| site.mutants.len()).sum();
        assert_eq!(text.matches("crate::mutant::on(").count(), count);
        // With every mutant left out it is what it was.
        let all: Vec<Number> = (1..=count as Number).collect();
        assert_eq!(rewritten(SOURCE, &all), SOURCE);
    }

    #[test]
    fn a_mutant_is_found_by_a_place_in_its_text() {
        let text = rewritten(SOURCE, &[]);
        let all = text.match_indices("/*<").map(|(at, _)| {
            let rest = text.get(at..).expect("a place of the text");
            let (number, after) = rest.trim_start_matches("/*<").split_once("*/").expect("a comment");
            let inside = text.len() - after.len() + 3;
            (number.parse::<Number>().expect("a number"), mutant_at(&text, inside))
        });
        let all: Vec<_> = all.collect();
        assert!(all.len() > 10, "{all:?}");
        for (number, found) in all {
            assert_eq!(found, Some(number));
        }
        assert_eq!(mutant_at(&text, 3), None);
    }
}
