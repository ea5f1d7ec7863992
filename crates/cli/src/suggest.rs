//! Names and other text in messages: "did you mean .. ?", lists, and what is too long.

use canon_async_component::inspect::Escaped;

/// The candidate that a name may be a typing error of; `None` if none is close.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // "rum" and "run" are close, "rum" and "gin" are not; nor are "f" and "g".
    const CLOSE: f64 = 0.75;
    let score = |candidate: &str| {
        let letters = name.chars().count().max(candidate.chars().count());
        let few_changes = strsim::osa_distance(name, candidate).saturating_mul(3) <= letters;
        strsim::jaro(name, candidate).max(if few_changes { 0.8 } else { 0.0 })
    };
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let close = scored.filter(|(score, candidate)| *score > CLOSE && *candidate != name);
    close.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, candidates).map_or_else(String::new, |found| format!("; did you mean \"{}\"?", cut(found)))
}

/// A text for a message, in one line: without what would control a terminal, and only its beginning if it is
/// long.
pub fn cut(text: &str) -> String {
    const CHARS: usize = 200;
    match text.char_indices().nth(CHARS) {
        Some((at, _)) => format!("{}..", Escaped(text.get(..at).unwrap_or_default())),
        None => Escaped(text).to_string(),
    }
}

/// Names for a sentence, cut after the first thirty.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 30;
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(MOST).map(cut).collect();
    match names.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_takes_what_is_near_and_nothing_else() {
        let names = ["threads", "thread_indices", "tasks"];
        assert_eq!(closest("thread", names), Some("threads"));
        assert_eq!(closest("taks", names), Some("tasks"));
        assert_eq!(closest("memory", names), None);
        assert_eq!(closest("log", ["lgo", "dog-house"]), Some("lgo"));
        assert_eq!(closest("f", ["g"]), None);
        assert_eq!(closest("run", []), None);
    }
}
