//! Writes `kernels.rs`: the structs, the launch functions, and the table of modules with their PTX.

use crate::declarations::{self, Field, Type};
use crate::{Source, fail};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The text of `kernels.rs`. `ptx` is the folder of the PTX files, if they are embedded. `from` says what made them.
pub fn bindings(sources: &[Source], args: &str, ptx: Option<&Path>, from: &str) -> String {
    let mut text = String::new();
    let mut structs = declarations::structs("args.cuh", args);
    for s in &mut structs {
        s.fields = padded(std::mem::take(&mut s.fields));
        let members = |member: &dyn Fn(&Field) -> String| -> String {
            s.fields.iter().map(|f| format!("{}: {},\n", name(&f.name), member(f))).collect()
        };
        // `Default` is written out, because it cannot be derived for arrays longer than 32.
        let zero = |f: &Field| {
            f.ty.array.map_or("Default::default()".to_owned(), |n| format!("[Default::default(); {n}]"))
        };
        let _ = write!(
            text,
            "/// As in `kernels/args.cuh`.\n#[repr(C)]\n#[derive(Debug, Clone, Copy)]\n\
             pub struct {0} {{\npub {1}}}\n\n#[allow(clippy::derivable_impls)] // not with long arrays\n\
             impl Default for {0} {{\nfn default() -> Self {{\n{0} {{\n{2}}}\n}}\n}}\n\n",
            s.name,
            members(&|f| rust_type(&f.ty)).trim_end_matches('\n').replace('\n', "\npub "),
            members(&zero),
        );
    }
    let mut table = String::from("pub(super) static MODULES: &[KernelModule] = &[\n");
    let mut number = 0;
    for source in sources {
        let file = &*source.file;
        let mut names = String::new();
        for kernel in declarations::kernels(file, &source.text) {
            launch_function(&mut text, file, &kernel, number);
            let _ = write!(names, "{:?}, ", kernel.name);
            number += 1;
        }
        if let Some(folder) = ptx {
            let content = folder.join(format!("{}.ptx", source.name));
            let _ = writeln!(
                table,
                "    KernelModule {{ file: {file:?}, ptx: include_str!({content:?}), kernels: &[{names}] }},"
            );
        }
    }
    if ptx.is_some() {
        let _ = write!(text, "{table}];\n\n");
    }
    let _ = write!(text, "/// What the PTX was made with.\npub const MADE_WITH: &str = {from:?};\n");
    text
}

/// The texts of all kernels and headers, for pages that show them.
pub fn texts(files: &[(String, PathBuf)]) -> String {
    let mut text = String::from(
        "\n/// Every file of `kernels/` that nvcc reads: its name, such as `kernels/norm.cu`, and its text.\n\
         pub static SOURCES: &[(&str, &str)] = &[\n",
    );
    for (name, path) in files {
        let _ = writeln!(text, "    ({name:?}, include_str!({path:?})),");
    }
    text + "];\n"
}

/// The fields, plus a named field for each gap (padding) that C++ leaves before a field of 8 bytes and at the end. The
/// driver copies an argument with all its bytes. The named fields set the bytes of the gaps to 0. Otherwise a gap would
/// contain old memory, which could look like an address.
fn padded(fields: Vec<Field>) -> Vec<Field> {
    let (mut all, mut half) = (Vec::new(), false);
    let gap = |number: usize| {
        let ty = Type { base: "int".to_owned(), pointer: false, array: None };
        Field { name: format!("gap{number}"), ty }
    };
    for field in fields {
        let small = !field.ty.pointer && matches!(&*field.ty.base, "int" | "unsigned" | "float");
        if half && !small {
            all.push(gap(all.len()));
            half = false;
        }
        half ^= small && field.ty.array.unwrap_or(1) % 2 == 1;
        all.push(field);
    }
    if half {
        all.push(gap(all.len()));
    }
    all
}

fn launch_function(text: &mut String, file: &str, kernel: &declarations::Kernel, number: usize) {
    let name_of = |f: &Field| name(&f.name);
    let declared: String =
        kernel.fields.iter().map(|f| format!(", {}: {}", name_of(f), rust_type(&f.ty))).collect();
    let passed: Vec<String> = kernel.fields.iter().map(|f| format!("argument(&{})", name_of(f))).collect();
    let _ = write!(
        text,
        "/// Launches `{0}` of `kernels/{file}`.\n///\n/// # Errors\n/// What the driver refuses.\n\
         #[allow(clippy::too_many_arguments)] // as many as the kernel has\n\
         pub fn {0}(cx: &CudaCtx, launch: Launch{declared}) -> Result<()> {{\n    \
         // SAFETY: number and types of the arguments are those of the declaration this was generated from.\n    \
         unsafe {{ cx.launch({number}, launch, &mut [{1}]) }}\n}}\n\n",
        kernel.name,
        passed.join(", ")
    );
}

/// A Rust name for a kernel's argument. It is lower case, because kernels may name matrices by single capitals, and it
/// is not a Rust keyword.
fn name(name: &str) -> String {
    let lower = name.to_lowercase();
    if ["in", "ref", "type", "where", "move", "loop", "box"].contains(&&*lower) {
        format!("{lower}_")
    } else {
        lower
    }
}

fn rust_type(ty: &Type) -> String {
    let scalar = match &*ty.base {
        "float" => "f32",
        "double" => "f64",
        "int" => "i32",
        "unsigned" => "u32",
        "long long" => "i64",
        "unsigned long long" => "u64",
        "unsigned char" => "u8",
        "unsigned short" => "u16",
        "__nv_bfloat16" => "half::bf16",
        "void" if ty.pointer => "u8",
        other if other.chars().next().is_some_and(char::is_uppercase) => other,
        other => fail(&format!("a kernel cannot have an argument of type `{other}`")),
    };
    let one = if ty.pointer { format!("Ptr<{scalar}>") } else { scalar.to_owned() };
    ty.array.map_or(one.clone(), |n| format!("[{one}; {n}]"))
}
