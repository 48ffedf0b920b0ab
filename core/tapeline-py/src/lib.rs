//! Python bindings of tapeline-core: the module `tapeline._core`, described by `_core.pyi`.

mod core;
mod error;
mod event;
mod offline;
mod room;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CoreError", module.py().get_type::<error::CoreError>())?;
    module.add_class::<core::Core>()?;
    module.add_function(wrap_pyfunction!(offline::repair_folder, module)?)?;
    module.add_function(wrap_pyfunction!(offline::probe, module)?)?;
    module.add_function(wrap_pyfunction!(offline::free_bytes, module)?)?;
    Ok(())
}
