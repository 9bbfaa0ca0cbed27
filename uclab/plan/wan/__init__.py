"""Between sites and cloud: internet, carriers, private circuits, exchanges, routing protocols."""
