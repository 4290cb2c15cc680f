//! Types of expressions, found before any bundle is there: unknown facts, fields and functions, operators that do not fit.

use std::collections::{BTreeMap, BTreeSet};

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators as op};

use super::types::{self, Record, Type};
use super::vocabulary::FACTS;
use crate::model::place::nearest;

/// Functions of expressions beside operators: name, and what it gives.
const FUNCTIONS: [(&str, Gives); 15] = [
    ("size", Gives::Int),
    ("contains", Gives::Bool),
    ("startsWith", Gives::Bool),
    ("endsWith", Gives::Bool),
    ("matches", Gives::Bool),
    ("int", Gives::Int),
    ("double", Gives::Float),
    ("string", Gives::Text),
    ("bool", Gives::Bool),
    ("dyn", Gives::Any),
    ("human_bytes", Gives::Text),
    ("human_seconds", Gives::Text),
    ("percent", Gives::Int),
    ("names", Gives::Text),
    (op::NOT_STRICTLY_FALSE, Gives::Bool),
];

#[derive(Clone, Copy)]
enum Gives {
    Bool,
    Int,
    Float,
    Text,
    Any,
}

/// Type of an expression.
#[derive(Debug, Clone)]
pub(super) enum Ty {
    Bool,
    Int,
    Float,
    Text,
    List(Box<Self>),
    Map(Box<Self>),
    Record(&'static Record),
    Any,
}

impl Ty {
    pub(super) fn of(declared: &Type) -> Self {
        match declared {
            Type::Bool => Self::Bool,
            Type::Int => Self::Int,
            Type::Float => Self::Float,
            Type::Text => Self::Text,
            Type::List(of) => Self::List(Box::new(Self::of(of))),
            Type::Map(of) => Self::Map(Box::new(Self::of(of))),
            Type::Record(record) => Self::Record(record),
            Type::Any => Self::Any,
        }
    }

    pub(super) fn show(&self) -> String {
        match self {
            Self::Bool => "a bool".to_owned(),
            Self::Int => "an int".to_owned(),
            Self::Float => "a double".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
            Self::Record(record) => format!("a {}", record.name),
            Self::Any => "any".to_owned(),
        }
    }

    /// Whether it may be this kind of thing.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _)
            | (_, Self::Any)
            | (Self::Bool, Self::Bool)
            | (Self::Text, Self::Text)
            | (Self::List(_), Self::List(_))
            | (Self::Map(_) | Self::Record(_), Self::Map(_))
            | (Self::Map(_), Self::Record(_))
            | (Self::Int | Self::Float, Self::Int | Self::Float) => true,
            (Self::Record(a), Self::Record(b)) => a.name == b.name,
            _ => false,
        }
    }

    /// The one of two branches that says more.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, other) => other,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(*b))),
            (known, _) => known,
        }
    }
}

/// Names in scope, beside the facts.
pub(super) type Scope = BTreeMap<String, Ty>;

/// What a check found out beside the type.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Names of the facts that the expression uses.
    pub(super) facts: BTreeSet<&'static str>,
    /// Fields that it looks at: name of the record and of the field.
    pub(super) fields: BTreeSet<(&'static str, &'static str)>,
}

impl Seen {
    /// Notes that a record is looked at as a whole.
    fn all_of(&mut self, ty: &Ty) {
        if let Ty::Record(record) = ty {
            self.fields.extend(record.fields.iter().map(|f| (record.name, f.name)));
        }
    }
}

/// A mistake, with the id of the expression that it is in.
pub(super) struct Mistake {
    pub(super) id: u64,
    pub(super) what: String,
}

type Checked = Result<Ty, Mistake>;

/// The type of an expression.
///
/// # Errors
/// The first mistake.
pub(super) fn check(expr: &IdedExpr, scope: &Scope, seen: &mut Seen) -> Checked {
    let wrong = |what: String| Err(Mistake { id: expr.id, what });
    match &expr.expr {
        Expr::Literal(literal) => Ok(match literal {
            LiteralValue::Boolean(_) => Ty::Bool,
            LiteralValue::Int(_) | LiteralValue::UInt(_) => Ty::Int,
            LiteralValue::Double(_) => Ty::Float,
            LiteralValue::String(_) => Ty::Text,
            LiteralValue::Bytes(_) | LiteralValue::Null => Ty::Any,
        }),
        Expr::Ident(name) => {
            if let Some(ty) = scope.get(name.as_str()) {
                return Ok(ty.clone());
            }
            let Some(fact) = types::find(name) else {
                let known = FACTS.iter().map(|f| f.field.name).chain(scope.keys().map(String::as_str));
                return wrong(format!("there is no fact `{name}`{}", nearest(name, known)));
            };
            seen.facts.insert(fact.field.name);
            Ok(Ty::of(&fact.field.of))
        }
        Expr::Select(select) => {
            let field = match check(&select.operand, scope, seen)? {
                Ty::Record(record) => match record.field(&select.field) {
                    Some(field) => {
                        seen.fields.insert((record.name, field.name));
                        Ty::of(&field.of)
                    }
                    None => {
                        let known = record.fields.iter().map(|f| f.name);
                        return wrong(format!(
                            "a {} has no field `{}`{}",
                            record.name,
                            select.field,
                            nearest(&select.field, known)
                        ));
                    }
                },
                Ty::Map(of) => *of,
                Ty::Any => Ty::Any,
                other => return wrong(format!("{} has no fields, so not `{}` either", other.show(), select.field)),
            };
            Ok(if select.test { Ty::Bool } else { field })
        }
        Expr::List(list) => {
            let mut of = Ty::Any;
            for element in &list.elements {
                of = of.join(check(element, scope, seen)?);
            }
            Ok(Ty::List(Box::new(of)))
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let cel::common::ast::EntryExpr::MapEntry(entry) = &entry.expr {
                    check(&entry.key, scope, seen)?;
                    check(&entry.value, scope, seen)?;
                }
            }
            Ok(Ty::Map(Box::new(Ty::Any)))
        }
        Expr::Comprehension(loop_) => comprehension(loop_, scope, seen),
        Expr::Call(call) => calls(expr.id, call, scope, seen),
        Expr::Struct(_) | Expr::Unspecified => wrong("this kind of expression is not part of rules".to_owned()),
    }
}

/// What `all`, `exists`, `exists_one`, `filter` and `map` become.
fn comprehension(of: &ComprehensionExpr, scope: &Scope, seen: &mut Seen) -> Checked {
    let (key, element) = match check(&of.iter_range, scope, seen)? {
        Ty::List(element) => (Ty::Int, *element),
        Ty::Map(value) => (Ty::Text, *value),
        Ty::Any => (Ty::Any, Ty::Any),
        other => {
            return Err(Mistake { id: of.iter_range.id, what: format!("{} cannot be gone through", other.show()) });
        }
    };
    let over_map = matches!(check(&of.iter_range, scope, seen)?, Ty::Map(_));
    let mut inner = scope.clone();
    match &of.iter_var2 {
        Some(second) => {
            inner.insert(of.iter_var.clone(), key);
            inner.insert(second.clone(), element);
        }
        None => {
            inner.insert(of.iter_var.clone(), if over_map { Ty::Text } else { element });
        }
    }
    let start = check(&of.accu_init, scope, seen)?;
    inner.insert(of.accu_var.clone(), start.clone());
    check(&of.loop_cond, &inner, seen)?;
    let step = check(&of.loop_step, &inner, seen)?;
    inner.insert(of.accu_var.clone(), start.join(step));
    check(&of.result, &inner, seen)
}

fn calls(id: u64, call: &CallExpr, scope: &Scope, seen: &mut Seen) -> Checked {
    let mut args = Vec::new();
    for arg in call.target.as_deref().into_iter().chain(&call.args) {
        args.push(check(arg, scope, seen)?);
    }
    let wrong = |what: String| Err(Mistake { id, what });
    let name = call.func_name.as_str();
    let sign = name.replace('_', "");
    if matches!(name, op::EQUALS | op::NOT_EQUALS | op::IN | op::INDEX) {
        args.iter().for_each(|arg| seen.all_of(arg));
    }
    match (name, args.as_slice()) {
        (op::CONDITIONAL, [condition, yes, no]) => match condition {
            Ty::Bool | Ty::Any if yes.same(no) => Ok(yes.clone().join(no.clone())),
            Ty::Bool | Ty::Any => wrong(format!("one branch is {}, the other {}", yes.show(), no.show())),
            other => wrong(format!("the condition in front of `?` is {}", other.show())),
        },
        (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, args) => {
            match args.iter().find(|a| !matches!(a, Ty::Bool | Ty::Any)) {
                Some(other) => wrong(format!("`{sign}` needs bools, and gets {}", other.show())),
                None => Ok(Ty::Bool),
            }
        }
        (op::EQUALS | op::NOT_EQUALS, [a, b]) => {
            if a.same(b) {
                Ok(Ty::Bool)
            } else {
                wrong(format!("{} is never equal to {}", a.show(), b.show()))
            }
        }
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => {
            let ordered = |t: &Ty| matches!(t, Ty::Int | Ty::Float | Ty::Text | Ty::Any);
            if a.same(b) && ordered(a) && ordered(b) {
                Ok(Ty::Bool)
            } else {
                wrong(format!("`{sign}` cannot compare {} with {}", a.show(), b.show()))
            }
        }
        (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => match (a, b) {
            (Ty::Int, Ty::Int) => Ok(Ty::Int),
            (Ty::Float, Ty::Float) => Ok(Ty::Float),
            (Ty::Any, other) | (other, Ty::Any) if !matches!(other, Ty::Bool | Ty::Map(_) | Ty::Record(_)) => {
                Ok(other.clone())
            }
            (Ty::Text, Ty::Text) if name == op::ADD => Ok(Ty::Text),
            (Ty::List(a), Ty::List(b)) if name == op::ADD => {
                Ok(Ty::List(Box::new(a.as_ref().clone().join(b.as_ref().clone()))))
            }
            _ => wrong(format!("`{sign}` does not take {} and {} (double(x) and int(x) convert)", a.show(), b.show())),
        },
        (op::NEGATE, [a @ (Ty::Int | Ty::Float | Ty::Any)]) => Ok(a.clone()),
        (op::IN, [what, of]) => match of {
            Ty::List(element) if !what.same(element) => {
                wrong(format!("{} is never in a list of other things: {}", what.show(), element.show()))
            }
            Ty::List(_) | Ty::Map(_) | Ty::Any => Ok(Ty::Bool),
            other => wrong(format!("`in` needs a list or a map, and gets {}", other.show())),
        },
        (op::INDEX, [of, _]) => match of {
            Ty::List(element) | Ty::Map(element) => Ok(element.as_ref().clone()),
            Ty::Any | Ty::Record(_) => Ok(Ty::Any),
            other => wrong(format!("{} has no elements", other.show())),
        },
        (op::OPT_INDEX | op::OPT_SELECT, _) => wrong("optional values are not part of rules".to_owned()),
        _ => function(name, id, &args),
    }
}

fn function(name: &str, id: u64, args: &[Ty]) -> Checked {
    let wrong = |what: String| Err(Mistake { id, what });
    let Some((_, gives)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        return wrong(format!("there is no function `{name}`{}", nearest(name, FUNCTIONS.iter().map(|(n, _)| *n))));
    };
    let fits = match (name, args) {
        ("size", [of]) => matches!(of, Ty::List(_) | Ty::Map(_) | Ty::Text | Ty::Any),
        ("contains" | "startsWith" | "endsWith" | "matches", [a, b]) => a.same(&Ty::Text) && b.same(&Ty::Text),
        ("int" | "double" | "string" | "bool" | "dyn", [of]) => {
            !matches!(of, Ty::List(_) | Ty::Map(_) | Ty::Record(_)) || name == "dyn"
        }
        ("human_bytes" | "human_seconds", [of]) => of.same(&Ty::Int),
        ("percent", [a, b]) => a.same(&Ty::Int) && b.same(&Ty::Int),
        ("names", [of]) => of.same(&Ty::List(Box::new(Ty::Text))),
        (op::NOT_STRICTLY_FALSE, [_]) => true,
        _ => false,
    };
    if !fits {
        let given: Vec<String> = args.iter().map(Ty::show).collect();
        return wrong(format!("`{name}` does not take {}", given.join(" and ")));
    }
    Ok(match gives {
        Gives::Bool => Ty::Bool,
        Gives::Int => Ty::Int,
        Gives::Float => Ty::Float,
        Gives::Text => Ty::Text,
        Gives::Any => Ty::Any,
    })
}

/// The fact whose elements a list is made of one by one, by nothing but `filter` and `map`.
pub(super) fn made_of(list: &IdedExpr) -> Option<&str> {
    match &list.expr {
        Expr::Ident(name) => Some(name),
        Expr::Comprehension(of) if matches!(of.accu_init.expr, Expr::List(_)) => made_of(&of.iter_range),
        _ => None,
    }
}
