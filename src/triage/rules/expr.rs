//! Expressions and templates: compiled once, evaluated against facts.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use super::check::{self, Scope, Seen, Ty, check};
use crate::triage::text;

/// Longest expression, in bytes. Nesting is bounded by it too.
const EXPRESSION_MAX: usize = 1_000;
/// Stack of the thread that parses and evaluates: the parser needs much for few parentheses.
const STACK: usize = 16 << 20;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Runs something on a thread whose stack is large enough for any expression that is let in.
pub(super) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("rules".to_owned()).stack_size(STACK).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| std::io::Error::other("a rule made the evaluation stop"))
    })
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    /// What it gives.
    pub(super) ty: Ty,
}

/// Compiles and checks an expression.
///
/// # Errors
/// What is wrong, with the place in the expression where it is known.
pub(super) fn compile(source: &str, scope: &Scope, seen: &mut Seen) -> Result<Expression, String> {
    if source.len() > EXPRESSION_MAX {
        return Err(format!("the expression has {} bytes; the limit is {EXPRESSION_MAX}", source.len()));
    }
    let program = ENV.compile(source).map_err(|errors| {
        let first = errors.errors.first();
        first.map_or_else(
            || "the expression cannot be parsed".to_owned(),
            |e| format!("the expression cannot be parsed: {} at character {}", text::line(&e.msg, 200), e.pos.1.max(1)),
        )
    })?;
    let ty = check(program.expression(), scope, seen).map_err(|mistake| {
        let place = program.source_info().offset_for(mistake.id).and_then(|(start, stop)| {
            source.get(usize::try_from(start).ok()?..usize::try_from(stop).ok()?.saturating_add(1).min(source.len()))
        });
        match place.map(str::trim).filter(|p| p.len() > 1 && p.len() < source.len()) {
            Some(part) => format!("{} (at `{}`)", mistake.what, text::line(part, 60)),
            None => mistake.what,
        }
    })?;
    Ok(Expression { program, ty })
}

/// Why an expression gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// What it asks for is not there; that is no error.
    Absent,
    /// It cannot be evaluated.
    Broken(String),
}

impl Expression {
    /// The fact whose elements this list is made of one by one.
    pub(super) fn made_of(&self) -> Option<&'static str> {
        let name = check::made_of(self.program.expression())?;
        Some(super::types::find(name)?.field.name)
    }

    /// Evaluates.
    pub(super) fn value(&self, context: &Context<'_, '_>) -> Result<Value, Failure> {
        self.program.execute(context).map_err(|error| match error {
            ExecutionError::NoSuchKey(_)
            | ExecutionError::IndexOutOfBounds(_)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_) => Failure::Absent,
            other => Failure::Broken(text::line(&other.to_string(), 200)),
        })
    }

    /// Evaluates a condition.
    pub(super) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, Failure> {
        match self.value(context)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(Failure::Broken(format!("the condition gives a {} and no bool", other.type_of()))),
        }
    }
}

/// A text with expressions in braces; `{{` and `}}` are braces, and `{who}` stays for the subjects.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Compiles the expressions of a template.
    ///
    /// # Errors
    /// What is wrong with the first that is.
    pub(super) fn compile(source: &str, scope: &Scope, seen: &mut Seen) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if after.starts_with(brace) {
                plain.push_str(brace);
                rest = &after[1..];
                continue;
            }
            if brace == "}" {
                return Err("a `}` stands alone; write `}}` for a brace".to_owned());
            }
            let Some(end) = after.find('}') else {
                return Err("a `{` is not closed; write `{{` for a brace".to_owned());
            };
            let (inner, tail) = (&after[..end], &after[end + 1..]);
            rest = tail;
            if inner == "who" {
                plain.push_str("{who}");
                continue;
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            let expression = compile(inner, scope, seen)?;
            if matches!(expression.ty, Ty::List(_) | Ty::Map(_) | Ty::Record(_)) {
                return Err(format!("`{{{inner}}}` is {} and no text", expression.ty.show()));
            }
            parts.push(Part::Expression(expression));
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// Fills in the values.
    pub(super) fn render(&self, context: &Context<'_, '_>) -> Result<String, Failure> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expression(expression) => out.push_str(&show(&expression.value(context)?)),
            }
        }
        Ok(out)
    }
}

/// A value for people.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text::line(text, 300),
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => format!("{f:.0}"),
        Value::Float(f) => format!("{f:.2}"),
        other => format!("({})", other.type_of()),
    }
}

/// A context with the functions of rules.
///
/// # Errors
/// When a function of that name is there already.
pub(super) fn context<'p, 'v>() -> Result<Context<'p, 'v>, String> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    let mut added = context.add_function("human_bytes", |n: Value| crate::model::size::human(whole(&n)));
    added = added.and(context.add_function("human_seconds", |n: Value| {
        let seconds = i64::try_from(whole(&n)).unwrap_or(i64::MAX);
        text::duration(chrono::TimeDelta::try_seconds(seconds).unwrap_or_default())
    }));
    added = added.and(context.add_function("percent", |part: Value, of: Value| percent(number(&part), number(&of))));
    added = added.and(context.add_function("names", |list: Value| {
        let Value::List(items) = list else { return String::new() };
        let names: Vec<String> = items.iter().map(show).collect();
        text::names(&names, 5)
    }));
    added.map_err(|e| e.to_string())?;
    Ok(context)
}

fn number(value: &Value) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    match value {
        Value::Int(n) => *n as f64,
        Value::UInt(n) => *n as f64,
        Value::Float(f) => *f,
        _ => 0.0,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers for people, clamped by the cast")]
fn whole(value: &Value) -> u64 {
    number(value).max(0.0).round() as u64
}

#[expect(clippy::cast_possible_truncation, reason = "clamped by the cast")]
fn percent(part: f64, of: f64) -> i64 {
    if of == 0.0 { 0 } else { (part / of * 100.0).round() as i64 }
}
