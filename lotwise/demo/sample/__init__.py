"""A plant with two weeks behind it: what pictures of the pages are made of. Everything in it is made up."""
