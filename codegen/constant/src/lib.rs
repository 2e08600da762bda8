// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `#[derive(Constant)]`: writes a value of one of the plan's types as Rust, for the image.
//!
//! The types are in hyp/plan. A value becomes what a person would write: `plan::Vpe { vm: .., slot:
//! 0 }`; a tuple struct with its constructor, as its field is private:
//! `plan::Pa::new(0x4000_0000)`. Attributes:
//!
//! * `#[constant(host)]` at a field: the image does not have it;
//! * `#[constant(with = path)]` at a field: `path(&field)` writes it;
//! * `#[constant(new)]` at a struct: by its constructor, which checks it while the image is
//!   compiled;
//! * `#[constant(tuple)]` at a struct: in the image it is a tuple, or with one field the field
//!   alone.
#![forbid(unsafe_code)]

use proc_macro::TokenStream;
use proc_macro2::{Punct, Spacing, TokenStream as Tokens};
use quote::{format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, Path};

/// See the crate's documentation.
#[proc_macro_derive(Constant, attributes(constant))]
pub fn constant(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    implementation(&input).unwrap_or_else(Error::into_compile_error).into()
}

#[derive(Default)]
struct Options {
    host: bool,
    new: bool,
    tuple: bool,
    with: Option<Path>,
}

fn options(attributes: &[Attribute]) -> Result<Options, Error> {
    let mut options = Options::default();
    for attribute in attributes.iter().filter(|one| one.path().is_ident("constant")) {
        attribute.parse_nested_meta(|meta| {
            match meta.path.get_ident().map(Ident::to_string).as_deref() {
                Some("host") => options.host = true,
                Some("new") => options.new = true,
                Some("tuple") => options.tuple = true,
                Some("with") => options.with = Some(meta.value()?.parse()?),
                _ => return Err(meta.error("host, new, tuple or with")),
            }
            Ok(())
        })?;
    }
    Ok(options)
}

fn implementation(input: &DeriveInput) -> Result<Tokens, Error> {
    let name = &input.ident;
    let body = match &input.data {
        Data::Struct(data) => {
            let options = options(&input.attrs)?;
            let form = match &data.fields {
                _ if options.tuple => Form::Tuple,
                Fields::Unnamed(_) => Form::New,
                _ if options.new => Form::New,
                _ => Form::Literal,
            };
            let path = quote!(plan::#name);
            let (pattern, value) = parts(&data.fields, &path, form)?;
            quote! { let Self #pattern = self; #value }
        }
        Data::Enum(data) => {
            let arms = data.variants.iter().map(|variant| {
                let variant_name = &variant.ident;
                let path = quote!(plan::#name::#variant_name);
                let (pattern, value) = parts(&variant.fields, &path, Form::Literal)?;
                Ok(quote!(Self::#variant_name #pattern => { #value }))
            });
            let arms = arms.collect::<Result<Vec<_>, Error>>()?;
            quote! { match self { #(#arms)* } }
        }
        Data::Union(_) => return Err(Error::new_spanned(name, "a union is no plan")),
    };
    Ok(quote! {
        impl crate::constant::Constant for #name {
            fn constant(&self) -> ::proc_macro2::TokenStream { #body }
        }
    })
}

#[derive(Clone, Copy)]
enum Form {
    /// Name and fields.
    Literal,
    /// `Name::new(field, field)`.
    New,
    /// `(field, field)`, or `field`.
    Tuple,
}

/// The pattern that binds the fields, and the expression that writes them.
fn parts(fields: &Fields, path: &Tokens, form: Form) -> Result<(Tokens, Tokens), Error> {
    let named = matches!(fields, Fields::Named(_));
    let bindings: Vec<Ident> = fields
        .iter()
        .enumerate()
        .map(|(n, field)| field.ident.clone().unwrap_or_else(|| format_ident!("field_{n}")))
        .collect();
    let mut kept = Vec::new();
    for (field, name) in fields.iter().zip(&bindings) {
        if let Some(value) = value(field, name)? {
            kept.push((name, value));
        }
    }
    let names: Vec<&Ident> = kept.iter().map(|(name, _)| *name).collect();
    let values = kept.iter().map(|(_, value)| value);
    let pattern = match fields {
        Fields::Named(_) => quote!({ #(#names,)* .. }),
        Fields::Unnamed(_) => quote!((#(#bindings),*)),
        Fields::Unit => Tokens::new(),
    };
    // What the inner `quote!` puts in their places.
    let hash = Punct::new('#', Spacing::Alone);
    let placed = names.iter().map(|name| quote!(#hash #name));
    let written = match form {
        Form::Literal if named => quote!(#path { #(#names: #placed),* }),
        Form::Literal if kept.is_empty() => quote!(#path),
        Form::Literal => quote!(#path(#(#placed),*)),
        Form::New => quote!(#path::new(#(#placed),*)),
        Form::Tuple if kept.len() == 1 => quote!(#(#placed)*),
        Form::Tuple => quote!((#(#placed),*)),
    };
    Ok((pattern, quote! { #(let #names = #values;)* ::quote::quote!(#written) }))
}

/// What writes one field; None: the image does not have it.
fn value(field: &Field, name: &Ident) -> Result<Option<Tokens>, Error> {
    let options = options(&field.attrs)?;
    Ok(match options.with {
        _ if options.host => None,
        Some(path) => Some(quote!(#path(#name))),
        None => Some(quote!(crate::constant::Constant::constant(#name))),
    })
}
