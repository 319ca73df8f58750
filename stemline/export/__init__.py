"""A dataset written out in the forms that training code already reads: see `form.ExportForm` for what a form is."""
