//! A file's text as its directives, before they are parsed: a mistake in one leaves the others as they are.

use std::fmt;

use wast::Error;
use wast::lexer::{Lexer, Token, TokenKind};

/// Where something begins: line and column, from 1. Columns count bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A directive as text, and what can be said of it without its meaning.
#[derive(Debug)]
pub struct Form<'a> {
    pub text: &'a str,
    /// Where the text begins in the file.
    pub offset: usize,
    /// What stands after its parenthesis; `component` for a file that is one component without directives.
    pub keyword: &'a str,
    pub head: Head,
    /// The instances that it calls functions of; `None`: the last one.
    pub invokes: Vec<Option<String>>,
    /// What may be names that it imports: those of components within it are among them.
    pub imports: Vec<String>,
    /// Whether it may import more than that.
    pub imports_any: bool,
    /// Whether it instantiates a component.
    pub makes: bool,
}

/// Which names a directive gives to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    Definition(Option<String>),
    /// A component that becomes an instance at once.
    Component(Option<String>),
    /// An instance of a definition; `None`: of the last.
    Instance {
        name: Option<String>,
        of: Option<String>,
    },
    /// A name for an instance; `None`: for the last.
    Register {
        name: String,
        of: Option<String>,
    },
    Other,
}

/// A file as directives.
#[derive(Debug)]
pub struct Script<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
    pub forms: Vec<Form<'a>>,
    /// Where the text can't be divided any further, and why.
    pub error: Option<(usize, String)>,
}

/// Tests of strings are full of what looks like something else.
pub fn lexer(text: &str) -> Lexer<'_> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    lexer
}

impl<'a> Script<'a> {
    /// Divides a text, in time linear in its length.
    pub fn new(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = [0].into_iter().chain(newlines.map(|(at, _)| at.saturating_add(1))).collect();
        let mut script = Self { text, lines, forms: Vec::new(), error: None };
        script.error = script.divide().err();
        let first = script.forms.first().map_or("component", |form| form.keyword);
        if !is_directive(first) {
            script.forms = [Form::whole(text)].into();
            script.error = None;
        }
        script
    }

    /// The position of an offset.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|begin| *begin <= offset);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        Position { line, column: offset.saturating_sub(begin).saturating_add(1) }
    }

    fn divide(&mut self) -> Result<(), (usize, String)> {
        let lexer = lexer(self.text);
        let said = |error: Error| (error.span().offset(), error.message());
        let (mut at, mut depth) = (0, 0usize);
        let mut scan: Option<Scan<'a>> = None;
        while let Some(token) = lexer.parse(&mut at).map_err(said)? {
            match token.kind {
                TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => continue,
                TokenKind::LParen => depth = depth.saturating_add(1),
                TokenKind::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            if scan.is_none() && token.kind != TokenKind::LParen {
                return Err((token.offset, "expected `(` or the end of the file".into()));
            }
            let current = scan.get_or_insert_with(|| Scan::new(token.offset));
            current.token(token, depth, self.text);
            if depth == 0
                && let Some(scan) = scan.take()
            {
                self.forms.extend(scan.finish(self.text.get(..at).unwrap_or_default()));
            }
        }
        match scan {
            Some(scan) => Err((scan.begin, "this parenthesis is not closed".into())),
            None => Ok(()),
        }
    }
}

fn is_directive(keyword: &str) -> bool {
    keyword.starts_with("assert_")
        || matches!(keyword, "component" | "module" | "register" | "invoke" | "thread" | "wait")
}

impl<'a> Form<'a> {
    /// Whether its keyword is that of a directive.
    pub fn is_directive(&self) -> bool {
        is_directive(self.keyword)
    }

    /// A file that is one component.
    fn whole(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            keyword: "component",
            head: Head::Component(None),
            invokes: Vec::new(),
            imports: Vec::new(),
            imports_any: true,
            makes: true,
        }
    }
}

/// A token at the beginning of a directive.
#[derive(Clone, Debug)]
enum Part<'a> {
    Keyword(&'a str),
    Id(String),
    Text(String),
}

/// What was seen of a directive.
#[derive(Debug)]
struct Scan<'a> {
    begin: usize,
    /// What stands before the first parenthesis within it, or its first other token.
    parts: Vec<Part<'a>>,
    /// Whether that is all.
    parts_end: bool,
    /// The keyword right before this token, of those whose next token matters.
    before: &'a str,
    invokes: Vec<Option<String>>,
    imports: Vec<String>,
    imports_any: bool,
    component: bool,
}

impl<'a> Scan<'a> {
    fn new(begin: usize) -> Self {
        Self {
            begin,
            parts: Vec::new(),
            parts_end: false,
            before: "",
            invokes: Vec::new(),
            imports: Vec::new(),
            imports_any: false,
            component: false,
        }
    }

    fn token(&mut self, token: Token, depth: usize, text: &'a str) {
        let part = match token.kind {
            TokenKind::Keyword => Some(Part::Keyword(token.keyword(text))),
            TokenKind::Id => token.id(text).ok().map(|id| Part::Id(id.into())),
            TokenKind::String => Some(Part::Text(String::from_utf8_lossy(&token.string(text)).into())),
            _ => None,
        };
        match (std::mem::take(&mut self.before), &part) {
            ("import", Some(Part::Text(name))) => {
                // Of an interface, another version may be meant.
                self.imports_any |= name.contains('@');
                self.imports.push(name.clone());
            }
            ("invoke", Some(Part::Id(name))) => self.invokes.push(Some(name.clone())),
            ("invoke", _) => self.invokes.push(None),
            _ => {}
        }
        if let Some(Part::Keyword(keyword)) = part {
            self.before = keyword;
            self.imports_any |= matches!(keyword, "implements" | "binary" | "quote");
            self.component |= keyword == "component" && depth <= 2;
        }
        if token.offset == self.begin {
            return;
        }
        self.parts_end |= part.is_none();
        if !self.parts_end && self.parts.len() < 4 {
            self.parts.extend(part);
        }
    }

    /// `None` for an annotation.
    fn finish(self, before_end: &'a str) -> Option<Form<'a>> {
        let keyword = match self.parts.first() {
            Some(Part::Keyword(keyword)) => *keyword,
            Some(_) => "",
            None if before_end.get(self.begin..)?.starts_with("(@") => return None,
            None => "",
        };
        let head = head(&self.parts);
        let makes = self.component && !matches!(head, Head::Definition(_));
        Some(Form {
            text: before_end.get(self.begin..)?,
            offset: self.begin,
            keyword,
            head,
            invokes: self.invokes,
            imports: self.imports,
            imports_any: self.imports_any,
            makes,
        })
    }
}

fn head(parts: &[Part<'_>]) -> Head {
    let id = |at: usize| match parts.get(at) {
        Some(Part::Id(id)) => Some(id.clone()),
        _ => None,
    };
    match parts {
        [Part::Keyword("component"), Part::Keyword("definition"), ..] => Head::Definition(id(2)),
        [Part::Keyword("component"), Part::Keyword("instance"), ..] => {
            Head::Instance { name: id(2), of: id(3) }
        }
        [Part::Keyword("component"), ..] => Head::Component(id(1)),
        [Part::Keyword("register"), Part::Text(name), ..] => Head::Register { name: name.clone(), of: id(2) },
        _ => Head::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(text: &str) -> Vec<&str> {
        Script::new(text).forms.iter().map(|form| form.keyword).collect()
    }

    #[test]
    fn script_is_divided_at_its_directives_and_at_nothing_within_them() {
        let text =
            "(component) ;; (invoke\n(; (register ;) (@a (b))(invoke $x \")(\" (u32.const 1))\n  (wait $t)";
        assert_eq!(keywords(text), ["component", "invoke", "wait"]);
        let script = Script::new(text);
        let last = &script.forms[2];
        assert_eq!((last.text, script.position(last.offset)), ("(wait $t)", Position { line: 3, column: 3 }));
        assert_eq!(script.forms[1].invokes, [Some("x".to_string())]);
        assert!(script.error.is_none());
    }

    #[test]
    fn script_that_ends_too_early_keeps_what_is_whole() {
        let script = Script::new("(component)\n (assert_return (invoke \"f\")");
        assert_eq!((script.forms.len(), script.error.map(|(at, _)| at)), (1, Some(13)));
        let script = Script::new("(component) )");
        assert_eq!((script.forms.len(), script.error.map(|(at, _)| at)), (1, Some(12)));
        let script = Script::new("(component) \"\u{1}");
        assert_eq!((script.forms.len(), script.error.is_some()), (1, true));
    }

    #[test]
    fn script_without_directives_is_one_component() {
        let script = Script::new("(core module)\n(core module)");
        assert_eq!((script.forms.len(), script.forms[0].text), (1, "(core module)\n(core module)"));
        assert!(Script::new(";; nothing").forms.is_empty());
    }

    #[test]
    fn script_knows_which_names_are_given() {
        let name = |name: &str| Some(name.to_string());
        let heads = [
            ("(component definition $D)", Head::Definition(name("D"))),
            ("(component definition)", Head::Definition(None)),
            ("(component $a (component $b))", Head::Component(name("a"))),
            ("(component (component $b))", Head::Component(None)),
            ("(component instance $i $D)", Head::Instance { name: name("i"), of: name("D") }),
            ("(component instance)", Head::Instance { name: None, of: None }),
            ("(register \"a\" $i)", Head::Register { name: "a".into(), of: name("i") }),
            ("(assert_trap (component $c) \"\")", Head::Other),
        ];
        for (text, head) in heads {
            assert_eq!(Script::new(text).forms[0].head, head, "{text}");
        }
    }
}
