"""What people see of a study: plotly figures and the HTML page. Works on the frame of `search.results`."""
