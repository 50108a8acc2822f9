"""What a person sees on the pages of the admin site, and what their browser posts from them."""

from html import unescape
from typing import Any

from django.contrib.admin.helpers import AdminForm
from django.db.models import Model
from django.forms import BaseForm, BaseFormSet
from django.urls import reverse


def page_of(row: Model) -> str:
    """Return the address of the page that changes the row."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def errors_on(response) -> dict[str, list[str]]:
    """Return the errors of the page's form and of the forms of its inlines, by field."""
    admin_form: AdminForm = response.context["adminform"]
    errors = {name: list(messages) for name, messages in admin_form.form.errors.items()}
    for inline in response.context["inline_admin_formsets"]:
        formset: BaseFormSet = inline.formset
        for form in formset.forms:
            errors |= {name: list(messages) for name, messages in form.errors.items()}
    return errors


def messages_on(response) -> list[str]:
    return [unescape(str(message)) for message in response.context["messages"]]


def sent_by(form: BaseForm | BaseFormSet) -> dict[str, Any]:
    """Return what a browser would post from the form as it was served."""
    if isinstance(form, BaseFormSet):
        forms = [form.management_form, *form.forms]
        return {name: value for part in forms for name, value in sent_by(part).items()}
    values = {field.html_name: field.value() for field in form if not field.field.disabled}
    return {
        name: value for name, value in values.items() if value is not None and value is not False
    }


def filled_in(client, url: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser would post with these changes; None takes a field out."""
    context = client.get(url).context
    data = sent_by(context["adminform"].form)
    for inline in context["inline_admin_formsets"]:
        data |= sent_by(inline.formset)
    return {name: value for name, value in (data | changes).items() if value is not None}
