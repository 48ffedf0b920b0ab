//! `CoreError`, and the wall that no panic passes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use tapeline_core::boundary::core::Refused;

create_exception!(
    _core,
    CoreError,
    PyException,
    "The core could not be built or a command could not be handed over (its ring is full)."
);

/// A panic inside `work` becomes a `CoreError` that names it. Python would see a BaseException else.
pub fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    guarded_by(|| (), work)
}

/// As [`guarded`]; `on_panic` counts it.
pub fn guarded_by<T>(on_panic: impl FnOnce(), work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        on_panic();
        let text = text_of(panic.as_ref());
        Err(CoreError::new_err(format!("a fault inside the core: {text}")))
    })
}

pub fn refused(refused: Refused) -> PyErr {
    CoreError::new_err(refused.to_string())
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
