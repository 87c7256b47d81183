"""Documents made of DOCX templates with fields, and PDFs of them.

What people upload is opened only in a child process with little memory, little time and nothing
of ours in its environment: whatever the file does to it, whoever asked gets a reason.

Nothing is imported here: the child would have to wait for it.
"""
