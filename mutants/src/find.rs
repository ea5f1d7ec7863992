//! The mutants of a file: what could be written in another way, and how.

use crate::cfg;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ItemFn, Lit, Pat, ReturnType, Signature, Stmt, Type, UnOp};

/// How a site's text becomes its mutants'.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// An expression: one mutant's text or its own.
    Expr,
    /// A statement, which a mutant leaves out.
    Statement,
    /// The beginning of a function's body, where a mutant returns. The site is empty.
    Entry,
}

/// A place of the source that has mutants.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where, in bytes of the file.
    pub range: Range<usize>,
    /// What it is.
    pub shape: Shape,
    /// The function that it is in.
    pub function: String,
    /// What is written instead, and how that is called in reports.
    pub mutants: Vec<(String, String)>,
}

/// The sites of a file, in no order.
pub fn sites(source: &str) -> Result<Vec<Site>, syn::Error> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder { source, sites: Vec::new(), owner: String::new(), function: String::new() };
    finder.visit_file(&file);
    Ok(finder.sites)
}

struct Finder<'a> {
    source: &'a str,
    sites: Vec<Site>,
    /// The type of the `impl` that is visited.
    owner: String,
    /// The function that is visited; empty outside of functions.
    function: String,
}

/// Operators, and what they become.
const OPERATORS: [(&str, &[&str]); 24] = [
    ("==", &["!="]),
    ("!=", &["=="]),
    ("<", &["<=", ">="]),
    ("<=", &["<", ">"]),
    (">", &[">=", "<"]),
    (">=", &[">", "<="]),
    ("&&", &["||"]),
    ("||", &["&&"]),
    ("+", &["-"]),
    ("-", &["+"]),
    ("*", &["/"]),
    ("/", &["*"]),
    ("%", &["/"]),
    ("&", &["|"]),
    ("|", &["&"]),
    ("^", &["&"]),
    ("<<", &[">>"]),
    (">>", &["<<"]),
    ("+=", &["-="]),
    ("-=", &["+="]),
    ("|=", &["&="]),
    ("&=", &["|="]),
    ("<<=", &[">>="]),
    (">>=", &["<<="]),
];

/// Methods, and what they become where they have as many arguments.
const METHODS: [(&str, &str, usize); 24] = [
    ("checked_add", "checked_sub", 1),
    ("checked_sub", "checked_add", 1),
    ("checked_mul", "checked_add", 1),
    ("checked_div", "checked_mul", 1),
    ("checked_shl", "checked_shr", 1),
    ("saturating_add", "saturating_sub", 1),
    ("saturating_sub", "saturating_add", 1),
    ("saturating_mul", "saturating_add", 1),
    ("wrapping_add", "wrapping_sub", 1),
    ("wrapping_sub", "wrapping_add", 1),
    ("wrapping_mul", "wrapping_add", 1),
    ("wrapping_shl", "wrapping_shr", 1),
    ("wrapping_shr", "wrapping_shl", 1),
    ("min", "max", 1),
    ("max", "min", 1),
    ("push_front", "push_back", 2),
    ("push_back", "push_front", 2),
    ("is_some", "is_none", 0),
    ("is_none", "is_some", 0),
    ("is_ok", "is_err", 0),
    ("is_err", "is_ok", 0),
    ("any", "all", 1),
    ("all", "any", 1),
    ("rev", "by_ref", 0),
];

impl Finder<'_> {
    fn text(&self, node: &impl Spanned) -> &str {
        self.source.get(node.span().byte_range()).unwrap_or("")
    }

    fn add(&mut self, range: Range<usize>, shape: Shape, mutant: String, name: String) {
        let site = self.sites.iter_mut().find(|site| site.range == range && site.shape == shape);
        match site {
            Some(site) if site.mutants.iter().all(|(text, _)| *text != mutant) => {
                site.mutants.push((mutant, name));
            }
            Some(_) => {}
            None => {
                let function = self.function.clone();
                self.sites.push(Site { range, shape, function, mutants: vec![(mutant, name)] });
            }
        }
    }

    fn expr(&mut self, node: &impl Spanned, mutant: &str, name: String) {
        self.add(node.span().byte_range(), Shape::Expr, mutant.to_owned(), name);
    }

    fn binary(&mut self, node: &syn::ExprBinary) {
        let operator = self.text(&node.op).to_owned();
        if holds_let(&node.left) || holds_let(&node.right) {
            return;
        }
        let (left, right) = (self.text(&node.left).to_owned(), self.text(&node.right).to_owned());
        let assigns = operator.ends_with('=') && !matches!(operator.as_str(), "==" | "!=" | "<=" | ">=");
        let others = OPERATORS.iter().find(|(of, _)| *of == operator).map_or(&[][..], |(_, others)| others);
        for other in others {
            let text = match assigns {
                true => format!("{left} {other} {right}"),
                false => format!("({left}) {other} ({right})"),
            };
            self.expr(node, &text, format!("`{}` -> `{other}`", short(self.text(node))));
        }
    }

    /// The parts of a condition that are neither comparisons nor made of others, each negated.
    fn negate_parts(&mut self, condition: &Expr) {
        match condition {
            Expr::Binary(node) if matches!(node.op, BinOp::And(_) | BinOp::Or(_)) => {
                self.negate_parts(&node.left);
                self.negate_parts(&node.right);
            }
            Expr::Binary(_) | Expr::Let(_) => {}
            Expr::Paren(node) => self.negate_parts(&node.expr),
            Expr::Unary(node) if matches!(node.op, UnOp::Not(_)) => {
                let inner = self.text(&node.expr).to_owned();
                self.expr(condition, &inner, format!("`{}` -> without `!`", short(self.text(condition))));
            }
            _ => {
                let text = format!("!({})", self.text(condition));
                self.expr(condition, &text, format!("`{}` -> negated", short(self.text(condition))));
            }
        }
    }

    /// A condition that decides: always, never, and its parts negated.
    fn condition(&mut self, condition: &Expr, whole: bool) {
        self.negate_parts(condition);
        if whole && !holds_let(condition) {
            for constant in ["true", "false"] {
                self.expr(condition, constant, format!("`{}` -> {constant}", short(self.text(condition))));
            }
        }
    }

    fn literal(&mut self, node: &syn::ExprLit) {
        match &node.lit {
            Lit::Int(int) => {
                let Ok(value) = int.base10_parse::<u128>() else { return };
                for other in [value.checked_add(1), value.checked_sub(1)].into_iter().flatten() {
                    let text = format!("{other}{}", int.suffix());
                    self.expr(node, &text, format!("`{}` -> {other}", self.text(node)));
                }
            }
            Lit::Bool(bool) => {
                let other = !bool.value;
                self.expr(node, &other.to_string(), format!("`{}` -> {other}", bool.value));
            }
            _ => {}
        }
    }

    /// A function's body begins with a return of a value that it might have.
    fn entry(&mut self, signature: &Signature, body: &Block) {
        if signature.constness.is_some() || body.stmts.is_empty() {
            return;
        }
        let at = body.brace_token.span.open().byte_range().end;
        for value in returned(&signature.output) {
            let text = format!("return {value};");
            self.add(at..at, Shape::Entry, text.clone(), format!("`{}` at once", text.trim_end_matches(';')));
        }
        match body.stmts.last() {
            Some(Stmt::Expr(tail, None)) if is_call(tail) => match returned(&signature.output).as_slice() {
                [value] if value == "Ok(())" => {
                    self.expr(tail, "Ok(())", format!("`{}` -> Ok(())", short(self.text(tail))));
                }
                [value] if value.is_empty() => self.delete(tail),
                _ => {}
            },
            _ => {}
        }
    }

    fn delete(&mut self, node: &impl Spanned) {
        let name = format!("`{}` deleted", short(self.text(node)));
        self.add(node.span().byte_range(), Shape::Statement, String::new(), name);
    }

    fn function(&mut self, name: &str, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        // What prints is not what decides.
        if !cfg::holds(attributes) || name == "fmt" {
            return;
        }
        let own = if self.owner.is_empty() { name.to_owned() } else { format!("{}::{name}", self.owner) };
        let outer = std::mem::replace(&mut self.function, own);
        visit(self);
        self.function = outer;
    }
}

/// What a function of this type may return: `""` for nothing.
fn returned(output: &ReturnType) -> Vec<String> {
    let ReturnType::Type(_, ty) = output else { return vec![String::new()] };
    match &**ty {
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            let inner = match &last.arguments {
                syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
                    Some(syn::GenericArgument::Type(ty)) => Some(ty),
                    _ => None,
                },
                _ => None,
            };
            match (last.ident.to_string().as_str(), inner) {
                ("Raises", None) => vec!["Ok(())".to_owned()],
                ("Raises" | "Result", Some(inner)) => {
                    let values = returned_value(inner);
                    values.into_iter().map(|value| format!("Ok({value})")).collect()
                }
                _ => returned_value(ty),
            }
        }
        _ => returned_value(ty),
    }
}

fn returned_value(ty: &Type) -> Vec<String> {
    let values: &[&str] = match ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => &["()"],
        Type::Path(path) => match path.path.segments.last().map(|last| last.ident.to_string()).as_deref() {
            Some("bool") => &["true", "false"],
            Some("Option") => &["None"],
            Some("u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64") => &["0", "1"],
            Some("Then") => &["Then::Value(0)", "Then::Value(1)"],
            _ => &[],
        },
        _ => &[],
    };
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Whether a condition binds names.
fn holds_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(node) => holds_let(&node.left) || holds_let(&node.right),
        Expr::Paren(node) => holds_let(&node.expr),
        _ => false,
    }
}

/// Whether an expression is a call, or the value of one.
fn is_call(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(_) => true,
        Expr::Call(call) => {
            // `Ok(..)` and other values are no calls.
            let Expr::Path(path) = &*call.func else { return true };
            path.path.segments.last().is_some_and(|s| s.ident.to_string().starts_with(char::is_lowercase))
        }
        Expr::Try(node) => is_call(&node.expr),
        _ => false,
    }
}

/// Source text in one line, and not too long.
pub fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(70) {
        Some((end, _)) => format!("{}..", line.get(..end).unwrap_or("")),
        None => line,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        let last = node.trait_.as_ref().and_then(|(path, _)| path.segments.last());
        let prints = last.is_some_and(|s| ["Debug", "Display", "Format"].iter().any(|name| s.ident == name));
        if prints || !cfg::holds(&node.attrs) {
            return;
        }
        let owner = match &*node.self_ty {
            Type::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default(),
            _ => String::new(),
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, node);
        self.owner = outer;
    }

    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if cfg::holds(&node.attrs) {
            visit::visit_item_mod(self, node);
        }
    }

    fn visit_item_fn(&mut self, node: &'ast ItemFn) {
        if node.sig.constness.is_some() {
            return;
        }
        self.function(&node.sig.ident.to_string(), &node.attrs, |finder| {
            finder.entry(&node.sig, &node.block);
            visit::visit_block(finder, &node.block);
        });
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        if node.sig.constness.is_some() {
            return;
        }
        self.function(&node.sig.ident.to_string(), &node.attrs, |finder| {
            finder.entry(&node.sig, &node.block);
            visit::visit_block(finder, &node.block);
        });
    }

    fn visit_stmt(&mut self, node: &'ast Stmt) {
        match node {
            Stmt::Expr(expr, Some(_)) => match expr {
                Expr::MethodCall(_) | Expr::Call(_) | Expr::Try(_) if is_call(expr) => self.delete(node),
                Expr::Assign(assign) if !matches!(*assign.left, Expr::Tuple(_)) => self.delete(node),
                Expr::Binary(_) => self.delete(node),
                _ => {}
            },
            Stmt::Local(local) => {
                if !cfg::holds(&local.attrs) {
                    return;
                }
                if matches!(local.pat, Pat::Wild(_)) {
                    self.delete(node);
                }
            }
            _ => {}
        }
        visit::visit_stmt(self, node);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        match node {
            Expr::Binary(binary) => self.binary(binary),
            Expr::If(node) => self.condition(&node.cond, true),
            Expr::While(node) => self.condition(&node.cond, false),
            Expr::Lit(literal) => self.literal(literal),
            Expr::MethodCall(call) => {
                let (name, count) = (call.method.to_string(), call.args.len());
                let other = METHODS.iter().find(|(of, _, arguments)| *of == name && *arguments == count);
                if let Some((_, other, _)) = other {
                    let (whole, method) = (node.span().byte_range(), call.method.span().byte_range());
                    let before = self.source.get(whole.start..method.start).unwrap_or("");
                    let after = self.source.get(method.end..whole.end).unwrap_or("");
                    let text = format!("{before}{other}{after}");
                    self.expr(node, &text, format!("`{}` -> `{other}`", short(self.text(node))));
                }
            }
            // Without a place of its own in the source, or with a constant inside.
            Expr::Repeat(repeat) => return self.visit_expr(&repeat.expr),
            Expr::Const(_) | Expr::Macro(_) => return,
            _ => {}
        }
        visit::visit_expr(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        if !cfg::holds(&node.attrs) {
            return;
        }
        if let Pat::Guard(guarded) = &node.pat {
            self.condition(&guarded.guard, true);
            self.visit_expr(&guarded.guard);
        }
        visit::visit_arm(self, node);
    }

    // Constants, patterns and types can't be switched.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_trait(&mut self, _: &'ast syn::ItemTrait) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_item_macro(&mut self, _: &'ast syn::ItemMacro) {}
    fn visit_pat(&mut self, _: &'ast Pat) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes in a function's body, in the order of the source.
    fn changes(body: &str, returns: &str) -> Vec<String> {
        let source = format!("fn f(){returns} {{ {body} }}");
        let mut sites = sites(&source).expect("the source parses");
        sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
        let names = sites.into_iter().flat_map(|site| site.mutants).map(|(_, name)| name);
        names.filter(|name| !name.ends_with("at once")).collect()
    }

    #[test]
    fn comparisons_are_negated_and_moved_by_one() {
        assert_eq!(changes("let b = x < y;", ""), ["`x < y` -> `<=`", "`x < y` -> `>=`"]);
        assert_eq!(changes("let b = x == y;", ""), ["`x == y` -> `!=`"]);
    }

    #[test]
    fn conditions_are_constant_and_their_parts_negated() {
        let both = ["`x.a()` -> negated", "`x.a()` -> true", "`x.a()` -> false"];
        assert_eq!(changes("if x.a() {}", ""), both);
        let names = changes("if let Some(x) = y && x.a() {}", "");
        assert_eq!(names, ["`x.a()` -> negated"]);
        assert_eq!(changes("match x { y if z => {} _ => {} }", "").len(), 3);
    }

    #[test]
    fn statements_are_deleted_where_their_value_is_not_used() {
        assert_eq!(changes("a.b()?; return;", ""), ["`a.b()?;` deleted"]);
        assert_eq!(changes("a = b;", ""), ["`a = b;` deleted"]);
        assert_eq!(changes("let a = b();", ""), [""; 0]);
        assert_eq!(changes("event!(a, 1 < 2);", ""), [""; 0]);
    }

    #[test]
    fn functions_return_at_once_what_their_type_permits() {
        let entries = |returns: &str| {
            let source = format!("fn f(){returns} {{ x() }}");
            let sites = sites(&source).expect("the source parses");
            let entry = sites.into_iter().filter(|site| site.shape == Shape::Entry);
            entry.flat_map(|site| site.mutants).map(|(text, _)| text).collect::<Vec<_>>()
        };
        assert_eq!(entries(" -> Raises"), ["return Ok(());"]);
        assert_eq!(entries(" -> Raises<bool>"), ["return Ok(true);", "return Ok(false);"]);
        assert_eq!(entries(" -> Option<u32>"), ["return None;"]);
        assert_eq!(entries(""), ["return ;"]);
        assert_eq!(entries(" -> Raises<TaskId>"), [""; 0]);
    }

    #[test]
    fn constants_and_what_is_not_compiled_have_none() {
        let none = [
            "const fn f() -> u32 { 1 + 2 }",
            "const A: u32 = 1 + 2;",
            "#[cfg(test)] fn f() -> u32 { 1 + 2 }",
            "#[cfg(not(feature = \"alloc\"))] fn f() -> u32 { 1 + 2 }",
            "impl Debug for A { fn f() -> u32 { 1 + 2 } }",
            "fn fmt() -> bool { a < b }",
        ];
        for source in none {
            assert!(sites(source).expect("it parses").is_empty(), "{source}");
        }
        let some = "#[cfg(all(feature = \"alloc\", not(test)))] fn f() -> u32 { 1 + 2 }";
        assert!(!sites(some).expect("it parses").is_empty());
    }
}
