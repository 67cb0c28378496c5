namespace sgmae {}
