//! Recursion, as ordinary programs have it: a list whose nodes drop each other, and an interpreter of expressions.

wit_bindgen::generate!({ path: "wit" });

use std::cell::Cell;

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// A node of a list that is dropped as Rust does it: recursively.
struct Node {
    _next: Option<Box<Node>>,
    text: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + u32::from(!self.text.is_empty()));
    }
}

enum Expression {
    Number(u32),
    Add(Box<Expression>, Box<Expression>),
    Double(Box<Expression>),
}

/// What an interpreter keeps of a call.
struct Frame<'a> {
    caller: Option<&'a Frame<'a>>,
    locals: [u32; 8],
}

fn evaluate(expression: &Expression, frame: &Frame<'_>) -> Result<u32, String> {
    let mut own = Frame { caller: Some(frame), locals: frame.locals };
    own.locals[0] = own.caller.map_or(0, |caller| caller.locals[0]).wrapping_add(1);
    match expression {
        Expression::Number(number) => Ok(*number),
        Expression::Double(inner) => {
            evaluate(inner, &own)?.checked_mul(2).ok_or_else(|| "too large".to_string())
        }
        Expression::Add(left, right) => {
            let (left, right) = (evaluate(left, &own)?, evaluate(right, &own)?);
            left.checked_add(right).ok_or_else(|| format!("{left} + {right} is too large"))
        }
    }
}

struct Deep;

impl Guest for Deep {
    fn drop_list(nodes: u32) -> u32 {
        DROPPED.set(0);
        let mut list = None;
        for _ in 0..nodes {
            list = Some(Box::new(Node { _next: list, text: "a node".into() }));
        }
        drop(list);
        DROPPED.get()
    }

    fn evaluate(depth: u32) -> u32 {
        let mut expression = Expression::Number(1);
        for level in 0..depth {
            let other = Expression::Number(level % 2);
            expression = Expression::Add(Box::new(expression), Box::new(Expression::Double(Box::new(other))));
        }
        evaluate(&expression, &Frame { caller: None, locals: [0; 8] }).unwrap_or(0)
    }
}

export!(Deep);
